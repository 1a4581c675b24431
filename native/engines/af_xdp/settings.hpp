// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "engines/af_xdp/device.hpp"

namespace wirepath::af_xdp {

enum class Mode { automatic, copy, zero_copy };
enum class XdpMode { automatic, native, generic };
enum class Fragments { automatic, on, off };

std::span<const OptionSpec> option_specs() noexcept;

// What the user asked for, and what follows from the device where they left it open.
struct Settings {
    std::vector<std::uint32_t> queues;
    Mode mode;
    XdpMode xdp_mode;
    Fragments fragments;
    std::uint32_t frames, frame_size, headroom, ring_size, batch;
    bool need_wakeup, huge_pages, xdp_timestamps, prefer_busy_poll;
    std::uint32_t busy_poll_us, busy_poll_budget; // 0: off, the kernel's own
    std::chrono::nanoseconds gather;
    std::uint32_t snaplen;
    bool promisc;

    // Throws Error bad_option.
    Settings(const OpenRequest& request, const Device& device);

    // The longest packet that one frame can take: the kernel keeps the rest for headers and metadata.
    std::uint32_t frame_room() const noexcept { return frame_size - kernel_headroom - headroom; }

    static constexpr std::uint32_t kernel_headroom = 256; // XDP_PACKET_HEADROOM
};

} // namespace wirepath::af_xdp
