// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a network interface. Asked through a socket, so that the answer is of the network namespace
// in which the socket was opened, wherever its owner is now.
#pragma once

#include <cstdint>
#include <string>

namespace wirepath {

struct NetDevice {
    std::string name;
    int ifindex = 0;
    unsigned flags = 0;         // IFF_*
    unsigned hardware_type = 0; // ARPHRD_*
    unsigned mtu = 0;
    std::string mac; // its bytes, empty where it has none
    std::string driver;
    std::uint64_t speed_bps = 0; // 0: unknown
    bool gro = false, lro = false;

    bool up() const noexcept;
    bool loopback() const noexcept;
};

// Throws Error not_found, with the names that there are.
NetDevice netdevice_named(int socket, const std::string& name);

// The name now of an interface that was opened as ifindex; empty if it is gone.
std::string netdevice_name(int socket, int ifindex) noexcept;
bool netdevice_is_up(int socket, const std::string& name) noexcept;
// A removal, for one, which closes the interface and its peer some time before it takes their names away.
void wait_for_netdevice_changes(int socket, const std::string& name) noexcept;

// Bytes that a tap of this interface starts with: the LINKTYPE_ number, or 0 if it can only be tapped cooked (without
// its link layer's header).
std::uint32_t linktype_of_hardware(unsigned hardware_type) noexcept;

constexpr std::uint32_t linktype_ethernet = 1;
constexpr std::uint32_t linktype_raw_ip = 101;
constexpr std::uint32_t linktype_linux_sll2 = 276;

} // namespace wirepath
