// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "trace/packets/kernel_names.hpp"
#include "trace/packets/tracer.hpp"

namespace wirepath::trace {

// hooks.def and functions.def in their order, as this kernel has them: what it has not got a reason.
std::vector<Hook> listed_hooks(const KernelTypes& types);
// The others that take an skb.
void add_all_functions(std::vector<Hook>& hooks, const KernelTypes& types);
// Those that were not asked for get a reason. Throws Error bad_option for a word that is none of them.
void choose(std::vector<Hook>& hooks, const std::vector<std::string>& probes);

} // namespace wirepath::trace
