// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "filter/filter.hpp"

namespace wirepath {

// Whether the kernel's classic machine may give another verdict than libpcap's and ours, for some packet: it shifts by
// the lower five bits of the index, takes an offset modulo 2^32 and one above 2^31 for something else, and refuses
// loops. Such filters are rare, and run in the pipeline.
bool kernel_may_differ(std::span<const Instruction> program);

} // namespace wirepath
