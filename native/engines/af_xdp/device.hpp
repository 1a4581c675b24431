// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace wirepath::af_xdp {

// An interface of the calling thread's network namespace.
struct Device {
    std::string name;
    std::uint32_t ifindex = 0;
    std::uint32_t mtu = 0;
    std::uint32_t queues = 1; // receive queues in use
    std::string driver;       // empty: it does not say
    std::string mac;          // 6 bytes

    // Throws Error: no such interface, not Ethernet, not up.
    static Device named(const std::string& name);

    // A whole frame with two VLAN tags.
    std::uint32_t longest_packet() const noexcept { return mtu + 14 + 8; }
};

enum class LinkState { up, down, absent };
// In the network namespace of the socket (netlink, for one: AF_XDP's know no ioctl).
LinkState link_state(std::uint32_t ifindex, int socket) noexcept;

} // namespace wirepath::af_xdp
