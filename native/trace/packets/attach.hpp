// SPDX-License-Identifier: Apache-2.0
// The programs of follow.bpf.c at their hooks.
#pragma once

#include <array>
#include <vector>

#include "trace/packets/event.h" // before the skeleton, which uses it

#include <follow.skel.h>

#include "linux/bpf.hpp"
#include "trace/link.hpp"
#include "trace/packets/tracer.hpp"

namespace wirepath::trace {

enum class FunctionHooks { none, one_by_one, together }; // kprobe, kprobe_multi

// Which of the programs are loaded: those that one of the hooks needs.
void choose_programs(const follow_bpf& programs, const std::vector<Hook>& hooks, FunctionHooks functions);

// Attaches where a hook has no reason against it; where the kernel refuses, the hook gets one.
void attach_tracepoints(const follow_bpf& programs, std::vector<Hook>& hooks, std::vector<Link>& links);
void attach_copies(const follow_bpf& programs, std::vector<Hook>& hooks, std::vector<Link>& links);
void attach_functions(const follow_bpf& programs, std::vector<Hook>& hooks, FunctionHooks how,
                      std::vector<Link>& links);

} // namespace wirepath::trace
