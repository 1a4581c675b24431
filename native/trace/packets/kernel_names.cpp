// SPDX-License-Identifier: Apache-2.0
#include "trace/packets/kernel_names.hpp"

#include <filesystem>
#include <fstream>

#include "linux/bpf.hpp"
#include "trace/btf.hpp"

namespace wirepath::trace {
namespace {

namespace fs = std::filesystem;

constexpr const char* btf_directory = "/sys/kernel/btf";
constexpr unsigned traceable_arguments = 5; // those that are in registers, and that our programs know

// 0: none.
unsigned skb_argument(const btf* types, const btf_type* prototype) {
    const btf_param* parameters = btf_params(prototype);
    for (unsigned i = 0; i < btf_vlen(prototype) && i < traceable_arguments; ++i) {
        const btf_type* type = btf__type_by_id(types, parameters[i].type);
        if (type == nullptr || !btf_is_ptr(type))
            continue;
        type = btf__type_by_id(types, type->type);
        while (type != nullptr && btf_is_mod(type))
            type = btf__type_by_id(types, type->type);
        if (type != nullptr && btf_is_struct(type) &&
            std::string_view(btf__name_by_offset(types, type->name_off)) == "sk_buff")
            return i + 1;
    }
    return 0;
}

void collect_functions(const btf* types, std::uint32_t first, bool of_core, KernelTypes& into) {
    for (std::uint32_t id = first; id < btf__type_cnt(types); ++id) {
        const btf_type* type = btf__type_by_id(types, id);
        if (!btf_is_func(type))
            continue;
        const btf_type* prototype = btf__type_by_id(types, type->type);
        const unsigned argument = prototype == nullptr ? 0 : skb_argument(types, prototype);
        if (argument == 0)
            continue;
        const std::string name = btf__name_by_offset(types, type->name_off);
        into.skb_functions.emplace(name, argument);
        if (of_core)
            into.functions_of_core.emplace(name, true);
    }
}

void collect_modules(const btf* core, KernelTypes& into) {
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(btf_directory, none)) {
        if (entry.path().filename() == "vmlinux")
            continue;
        const Btf types(btf__parse_split(entry.path().c_str(), const_cast<btf*>(core)));
        if (types)
            collect_functions(types.get(), btf__type_cnt(core), false, into);
    }
}

} // namespace

KernelTypes read_kernel_types() {
    const QuietLibbpf quiet;
    const Btf types = kernel_btf("To follow packets");
    KernelTypes result;
    collect_functions(types.get(), 1, true, result);
    result.drop_reasons = values_of(types.get(), "skb_drop_reason", "SKB_DROP_REASON_");
    result.drop_subsystems = values_of(types.get(), "skb_drop_reason_subsys", "SKB_DROP_REASON_SUBSYS_");
    collect_modules(types.get(), result);
    return result;
}

void KernelSymbols::read() {
    std::ifstream lines("/proc/kallsyms");
    for (std::string line; std::getline(lines, line);) { // address, kind, name, [module]
        const std::size_t kind = line.find(' ');
        if (kind == std::string::npos || kind + 3 >= line.size() || (line[kind + 1] | 0x20) != 't')
            continue;
        const std::uint64_t address = std::stoull(line.substr(0, kind), nullptr, 16);
        std::string name = line.substr(kind + 3);
        name.resize(std::min(name.find('\t'), name.size()));
        names_.emplace(name, true);
        if (address != 0)
            places_.emplace(address, std::move(name));
    }
}

std::string KernelSymbols::name_of(std::uint64_t address) const {
    auto next = places_.upper_bound(address);
    return next == places_.begin() || address == 0 ? std::string() : std::prev(next)->second;
}

} // namespace wirepath::trace
