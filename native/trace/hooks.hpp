// SPDX-License-Identifier: Apache-2.0
// Which kinds of hooks this kernel lets this process attach programs to: each is tried, none is concluded from another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wirepath::trace {

struct HookKind {
    std::string_view name; // raw_tracepoint, tp_btf, fentry, fexit, kprobe, kprobe_multi
    bool usable;
    std::string reason; // why not, and what would help; empty if usable
};

// Attaches an empty program of each kind for an instant, to a function that the network stack hardly ever calls.
std::vector<HookKind> probe_hooks();

} // namespace wirepath::trace
