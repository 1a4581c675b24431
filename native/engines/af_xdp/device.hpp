// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "linux/netdevice.hpp"

namespace wirepath::af_xdp {

// An interface of the calling thread's network namespace.
struct Device : NetDevice {
    std::uint32_t queues = 1; // receive queues in use

    // Throws Error: no such interface, not Ethernet, not up.
    static Device named(const std::string& name);

    // A whole frame with two VLAN tags.
    std::uint32_t longest_packet() const noexcept { return mtu + 14 + 8; }
    // Of a frame with `room` bytes, what the NIC writes to with zero-copy. igb's (seen on Linux 7.3) are told in whole
    // KiB, and a longer packet comes as two.
    std::uint32_t usable_by_nic(std::uint32_t room) const noexcept { return driver == "igb" ? room & ~1023U : room; }
    std::string the_driver() const { return "The driver" + (driver.empty() ? "" : " " + driver); }
};

} // namespace wirepath::af_xdp
