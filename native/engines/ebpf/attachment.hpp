// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "engines/ebpf/settings.hpp"

namespace wirepath::ebpf {

enum class Way : std::uint8_t { in, out };

// A program at one hook of one interface.
class Attachment {
  public:
    virtual ~Attachment() = default;
    // Puts another one in its place, so that each packet meets the one or the other. Throws Error.
    virtual void replace(int program) = 0;
    virtual void detach() noexcept = 0;
    virtual std::string place() const = 0; // "native XDP", "tcx ingress", …
};

// Held by a BPF link, which dies with the last descriptor of it: nothing is left behind, however the process ends.
// Throws Error: busy, and by whom, if the interface has an XDP program.
std::unique_ptr<Attachment> attach_to_xdp(const Device& device, bool native, int program);
void refuse_if_xdp_is_taken(const Device& device);

// What the kernel calls our programs.
inline constexpr const char* tapping_program = "wirepath_tap";
inline constexpr const char* taking_program = "wirepath_take";

// Throws Error: busy if another capture takes packets there, since only the first one would get any.
void refuse_if_tc_is_taken(const Device& device, Way way);
// In front of the programs that are there, which get the packet from it. Throws Error.
std::unique_ptr<Attachment> attach_to_tc(const Device& device, Way way, int program);

} // namespace wirepath::ebpf
