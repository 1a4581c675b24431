// SPDX-License-Identifier: Apache-2.0
// Which of the programs of hooks.def this kernel can run, and why not the others.
#pragma once

#include <bpf/libbpf.h>
#include <string>
#include <string_view>
#include <vector>

#include "trace/copies/counter.hpp"

namespace wirepath::trace {

enum class HookBy { function, function_return, tracepoint, other_hook };

// A row of hooks.def that observes a hook.
struct Observation {
    std::size_t hook;
    HookBy by;
    std::string_view target;
    std::string_view other_names; // of a function, separated by spaces
    std::size_t from;             // other_hook: which
};

// A program that can be loaded.
struct Candidate {
    std::size_t hook;
    bpf_program* program;
    std::string_view kind; // fentry, fexit, kprobe, tracepoint
    std::string target;

    std::string name() const { return std::string(kind) + " " + target; }
};

const std::vector<CopyHook>& copy_hooks();
const std::vector<Observation>& copy_observations();

// Chooses for each hook what can observe it, best first, and lets the other programs of the object not be loaded. The
// reason of a hook that cannot be observed is written into it. Throws Error if the kernel has no type information.
std::vector<Candidate> choose_programs(bpf_object* object, std::vector<CopyHook>& hooks);

} // namespace wirepath::trace
