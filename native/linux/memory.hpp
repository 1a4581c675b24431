// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace wirepath {

// Memory that this machine could still give, in bytes; 0: unknown.
std::uint64_t available_memory() noexcept;

// A ring's memory is the kernel's and cannot be swapped out: asked for too much of it, the kernel does not refuse, but
// kills other programs first. Throws Error bad_option, naming the option, if `bytes` are more than half of what is
// there.
void check_ring_memory(std::uint64_t bytes, const std::string& option);

} // namespace wirepath
