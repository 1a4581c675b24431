// SPDX-License-Identifier: Apache-2.0
// The kernel's type information, and the names of an enum's values in it. Only what is built with libbpf includes this.
#pragma once

#include <bpf/btf.h>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace wirepath::trace {

struct FreeBtf {
    void operator()(btf* types) const noexcept { btf__free(types); }
};
using Btf = std::unique_ptr<btf, FreeBtf>;

// Of the running kernel, without its modules. Throws Error unsupported where it has none. purpose: "To follow packets".
Btf kernel_btf(std::string_view purpose);

// By value, without the prefix; empty if this kernel has no such enum.
std::map<std::uint32_t, std::string> values_of(const btf* types, const char* name, std::string_view prefix);

} // namespace wirepath::trace
