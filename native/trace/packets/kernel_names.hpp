// SPDX-License-Identifier: Apache-2.0
// What the running kernel calls things: its functions, their arguments, its drop reasons, the places in its code.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wirepath::trace {

struct KernelTypes {
    // Of the kernel and its modules: by name, which argument is the skb, from 1.
    std::map<std::string, unsigned, std::less<>> skb_functions;
    std::map<std::uint32_t, std::string> drop_reasons;          // without SKB_DROP_REASON_
    std::map<std::uint32_t, std::string> drop_subsystems;       // of a reason's upper half
    std::map<std::string, bool, std::less<>> functions_of_core; // those that fexit can be asked for
};

// From BTF: the kernel's own and its modules'. Throws Error unsupported where the kernel has none.
KernelTypes read_kernel_types();

// The kernel's functions by address. Empty where /proc/kallsyms does not tell this user.
class KernelSymbols {
  public:
    void read();
    std::string name_of(std::uint64_t address) const; // empty: not known
    bool has(std::string_view name) const { return names_.find(name) != names_.end(); }
    bool known() const noexcept { return !places_.empty(); }

  private:
    std::map<std::uint64_t, std::string> places_;
    std::map<std::string, bool, std::less<>> names_;
};

} // namespace wirepath::trace
