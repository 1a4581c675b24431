// SPDX-License-Identifier: Apache-2.0
// One filter in each machine that can run it.
#include "filter/ebpf.hpp"
#include "filter/judge.hpp"
#include "filter/kernel_meaning.hpp"
#include "filter/verify.hpp"
#include "linux/bpf_program.hpp"
#include "python/bind.hpp"
#include "python/filter.hpp"

namespace wirepath::python {
namespace {

Hook hook_named(std::string_view name) {
    if (name == "xdp")
        return Hook::xdp;
    if (name == "tc")
        return Hook::tc;
    if (name == "socket")
        return Hook::socket;
    throw Error(Code::bad_option, "the hook " + std::string(name), 0, "There are xdp, tc and socket");
}

nb::tuple ebpf(const PyFilter& self, const std::string& hook) {
    const Translated translated = translate_to_ebpf(self.filter->program(), hook_named(hook));
    nb::list instructions;
    for (const bpf_insn& i : translated.instructions)
        instructions.append(nb::make_tuple(int{i.code}, int{i.dst_reg}, int{i.src_reg}, int{i.off}, int{i.imm}));
    return nb::make_tuple(instructions, translated.begins);
}

nb::dict loaded(const PyFilter& self, const std::string& hook) {
    const Fd program = load_filter(self.filter->program(), hook_named(hook));
    const BpfProgramInfo info = bpf_program_info(program.get());
    nb::dict result;
    result["jited_bytes"] = info.jited_bytes;
    result["translated_bytes"] = info.translated_bytes;
    result["verified_instructions"] = info.verified_instructions;
    return result;
}

struct PyMachine {
    std::shared_ptr<const Filter> filter; // that the judge looks at
    std::unique_ptr<Judge> judge;
};

PyMachine make_machine(const std::string& name, const PyFilter& filter) {
    for (const JudgeKind& kind : judge_kinds())
        if (kind.name == name)
            return {filter.filter, kind.make(*filter.filter)};
    throw Error(Code::bad_option, "the machine " + name, 0, "filter_machines() lists them");
}

nb::list machines() {
    nb::list result;
    for (const JudgeKind& kind : judge_kinds())
        result.append(nb::make_tuple(kind.name, kind.what));
    return result;
}

nb::tuple judge(const PyMachine& self, nb::bytes data, std::optional<std::uint32_t> origlen, std::uint16_t vlan_tci,
                std::uint16_t vlan_tpid) {
    Packet packet;
    packet.data = {static_cast<const std::byte*>(data.data()), data.size()};
    packet.origlen = origlen.value_or(static_cast<std::uint32_t>(data.size()));
    packet.vlan_tci = vlan_tci;
    packet.vlan_tpid = vlan_tpid;
    const Verdict verdict = self.judge->judge(packet);
    return nb::make_tuple(verdict.matches, verdict.not_given);
}

nb::dict to_dict(const MachineReport& machine) {
    nb::dict result;
    result["name"] = machine.name;
    result["what"] = machine.what;
    result["unusable"] = machine.unusable;
    result["given"] = machine.given;
    result["matches"] = machine.matches;
    nb::dict not_given;
    for (const auto& [why, packets] : machine.not_given)
        not_given[why.c_str()] = packets;
    result["not_given"] = not_given;
    return result;
}

nb::dict to_dict(const Difference& difference) {
    nb::dict result;
    result["number"] = difference.number;
    result["ts"] = difference.ts;
    result["caplen"] = difference.caplen;
    result["origlen"] = difference.origlen;
    result["linktype"] = difference.linktype;
    result["matched_by"] = difference.matched_by;
    result["rejected_by"] = difference.rejected_by;
    return result;
}

nb::dict verify(const std::string& text, const std::string& path) {
    bool signalled = false;
    Verification found;
    {
        const nb::gil_scoped_release release;
        found = verify_filter(text, path, [&signalled] {
            const nb::gil_scoped_acquire acquire;
            return !(signalled = PyErr_CheckSignals() != 0);
        });
    }
    if (signalled)
        throw nb::python_error();
    nb::dict result;
    result["packets"] = found.packets;
    result["differing"] = found.differing;
    nb::list machines;
    for (const MachineReport& machine : found.machines)
        machines.append(to_dict(machine));
    result["machines"] = machines;
    result["first"] = found.first ? nb::object(to_dict(*found.first)) : nb::none();
    return result;
}

} // namespace

void bind_filter_machines(nb::module_& m) {
    m.def("filter_ebpf", &ebpf, "filter"_a, "hook"_a);
    m.def("filter_loaded", &loaded, "filter"_a, "hook"_a);
    m.def("filter_machines", &machines);
    m.def(
        "kernel_may_differ", [](const PyFilter& self) { return kernel_may_differ(self.filter->program()); },
        "filter"_a);
    m.def("verify_filter", &verify, "text"_a, "path"_a);
    nb::class_<PyMachine>(m, "FilterMachine", "One of the machines that can run a filter, with the filter in it.")
        .def(
            "__init__",
            [](PyMachine* self, const std::string& name, const PyFilter& filter) {
                new (self) PyMachine(make_machine(name, filter));
            },
            "name"_a, "filter"_a)
        .def("judge", &judge, "data"_a, "origlen"_a = nb::none(), "vlan_tci"_a = 0, "vlan_tpid"_a = 0);
}

} // namespace wirepath::python
