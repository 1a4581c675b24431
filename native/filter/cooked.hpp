// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "filter/filter.hpp"

namespace wirepath {

// The same filter for a kernel that has not put LINKTYPE_LINUX_SLL2's header before the packet: what the program reads
// of that header becomes metadata, and what lies behind it moves forward. Nothing if the program asks for what the
// kernel cannot tell, such as the length with that header.
std::optional<std::vector<Instruction>> without_cooked_header(std::span<const Instruction> program);

} // namespace wirepath
