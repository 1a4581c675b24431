// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "engines/ebpf/ring.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::ebpf {

enum class Hook : std::uint8_t { xdp, tc };
enum class Mode : std::uint8_t { tap, take };
enum class XdpMode : std::uint8_t { automatic, native, generic };

std::span<const OptionSpec> option_specs() noexcept;

// What the user asked for.
struct Settings {
    std::vector<std::string> interfaces; // the target, and those that share its ring
    Hook hook;
    Mode mode;
    XdpMode xdp_mode;
    bool inbound, outbound; // what is captured
    bool drop_rejected;     // what the filter rejects does not go on to the stack
    std::string program;    // the path of the user's own; empty: none
    Geometry geometry;
    std::chrono::nanoseconds gather;
    std::uint32_t snaplen;
    bool promisc;
    bool process; // whose packets they are

    explicit Settings(const OpenRequest& request); // throws Error bad_option
};

// An interface of the calling thread's network namespace.
struct Device : NetDevice {
    static Device named(const std::string& name, Hook hook); // throws Error
    // A whole frame with two VLAN tags.
    std::uint32_t longest_packet() const noexcept { return mtu + 14 + 8; }
    std::string the_driver() const { return "The driver" + (driver.empty() ? "" : " " + driver); }
};

} // namespace wirepath::ebpf
