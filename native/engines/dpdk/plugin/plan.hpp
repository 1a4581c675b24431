// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <rte_ethdev.h>
#include <string>

#include "engines/dpdk/settings.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::dpdk {

// How a device's queues are made, from what was asked and what it can do.
struct Plan {
    std::uint16_t queues = 1, ring_size = 0, send_ring_size = 512, mtu = 0;
    std::uint16_t room = 0;            // bytes of a packet that one buffer takes
    std::uint32_t mbufs = 0, kept = 0; // buffers of a queue; those that the driver has at any time
    std::uint64_t offloads = 0, rss = 0;
};

// For DPDK's driver over this interface: the device's name and arguments, as rte_dev_probe takes them. Throws Error if
// the driver cannot be over it.
std::string device_over(const NetDevice& device, const Settings& settings);

// Of the device that was plugged. `mtu`: of the kernel's interface below it; 0: there is none. Throws Error.
Plan plan_for(const Settings& settings, const rte_eth_dev_info& info, std::uint32_t mtu);

} // namespace wirepath::dpdk
