// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engines/ebpf/attachment.hpp"

namespace wirepath::ebpf {

// tc before Linux 6.6, which has no links there: a filter stays until somebody removes it. Its name says which process
// it belongs to, so that those of processes that are gone are found, and removed, by the next capture on this host.
// Throws Error.
std::unique_ptr<Attachment> attach_to_clsact(const Device& device, Way way, int program);
std::vector<std::uint32_t> programs_at_clsact(const Device& device, Way way); // their ids

} // namespace wirepath::ebpf
