// SPDX-License-Identifier: Apache-2.0
#include "trace/btf.hpp"

#include <cerrno>

#include "linux/bpf.hpp"

namespace wirepath::trace {

Btf kernel_btf(std::string_view purpose) {
    const QuietLibbpf quiet;
    Btf types(btf__load_vmlinux_btf());
    if (!types)
        throw Error(Code::unsupported, "reading the kernel's type information", errno,
                    std::string(purpose) + " the kernel must have been built with it (CONFIG_DEBUG_INFO_BTF): "
                                           "/sys/kernel/btf/vmlinux is missing");
    return types;
}

std::map<std::uint32_t, std::string> values_of(const btf* types, const char* name, std::string_view prefix) {
    std::map<std::uint32_t, std::string> result;
    const int id = btf__find_by_name_kind(types, name, BTF_KIND_ENUM);
    if (id < 0)
        return result;
    const btf_type* type = btf__type_by_id(types, static_cast<std::uint32_t>(id));
    const struct btf_enum* values = ::btf_enum(type);
    for (unsigned i = 0; i < btf_vlen(type); ++i) {
        std::string_view value = btf__name_by_offset(types, values[i].name_off);
        if (value.starts_with(prefix))
            value.remove_prefix(prefix.size());
        result.emplace(static_cast<std::uint32_t>(values[i].val), value);
    }
    return result;
}

} // namespace wirepath::trace
