// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/engine.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::napi {

std::span<const OptionSpec> option_specs() noexcept; // its own, and those of the engines that it stands on

// Values of NAPI's `threaded`.
inline constexpr std::uint64_t threaded_off = 0, threaded_on = 1, threaded_busy_poll = 2;

// What is wanted of how an interface polls; nothing: it stays as it is.
struct Knobs {
    std::optional<std::uint64_t> defer_hard_irqs;      // empty polls before the interrupt is enabled again
    std::optional<std::uint64_t> gro_flush_timeout_ns; // from one of them to the next
    std::optional<std::uint64_t> threaded;
};

struct Settings {
    bool xdp;         // via=xdp
    std::string poll; // the preset
    Knobs knobs;
    bool threaded_asked; // by the user, not by the preset
    bool busy;           // the socket polls
    bool measure;
    std::chrono::milliseconds baseline;
    OpenRequest inner; // for the engine that it stands on
    std::string_view inner_engine() const { return xdp ? "af_xdp" : "tpacket_v3"; }

    // ring_slots: of a receive queue of the NIC. Throws Error bad_option.
    Settings(const OpenRequest& request, const NetDevice& device, std::uint32_t ring_slots);

  private:
    void choose(const Options& options, const NetDevice& device, std::uint32_t ring_slots);
    void pass_on(const OpenRequest& request);
    void prefer(const std::string& option, const std::string& value);
};

} // namespace wirepath::napi
