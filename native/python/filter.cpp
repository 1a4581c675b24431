// SPDX-License-Identifier: Apache-2.0
#include "python/filter.hpp"

#include "python/bind.hpp"

namespace wirepath::python {
namespace {

nb::list instructions(const PyFilter& self) {
    nb::list result;
    for (const Instruction& i : self.filter->program())
        result.append(nb::make_tuple(i.code, i.jt, i.jf, i.k));
    return result;
}

bool matches(const PyFilter& self, nb::bytes data, std::optional<std::uint32_t> origlen, std::uint16_t vlan_tci,
             std::uint16_t vlan_tpid, std::uint16_t flags) {
    Packet packet;
    packet.data = {static_cast<const std::byte*>(data.data()), data.size()};
    packet.origlen = origlen.value_or(static_cast<std::uint32_t>(data.size()));
    packet.vlan_tci = vlan_tci;
    packet.vlan_tpid = vlan_tpid;
    packet.flags = flags;
    return self.filter->matches(packet);
}

} // namespace

void bind_filter(nb::module_& m) {
    nb::class_<PyFilter>(m, "Filter", "A compiled pcap-filter(7) expression.")
        .def_prop_ro("text", [](const PyFilter& self) { return self.filter->text(); })
        .def_prop_ro("linktype", [](const PyFilter& self) { return self.filter->linktype(); })
        .def_prop_ro("instructions", &instructions, "The program: (code, jt, jf, k) each.")
        .def("matches", &matches, "data"_a, "origlen"_a = nb::none(), "vlan_tci"_a = 0, "vlan_tpid"_a = 0,
             "flags"_a = 0);
    m.def(
        "compile_filter",
        [](const std::string& text, std::uint32_t linktype, std::uint32_t snaplen) {
            return PyFilter{Filter::compile(text, linktype, snaplen)};
        },
        "text"_a, "linktype"_a = 1, "snaplen"_a = 262144);
    m.def(
        "compile_live_filter",
        [](const std::string& text, const std::string& interface, std::uint32_t snaplen) {
            return PyFilter{Filter::compile_live(text, interface, snaplen)};
        },
        "text"_a, "interface"_a, "snaplen"_a = 262144);
}

} // namespace wirepath::python
