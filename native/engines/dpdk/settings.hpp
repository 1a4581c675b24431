// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "core/engine.hpp"

namespace wirepath::dpdk {

std::span<const OptionSpec> option_specs() noexcept;

// What is opened: an interface of the kernel, a PCI device by its address, or one of DPDK's virtual devices.
enum class Kind { interface, pci, vdev };

enum class Wait { automatic, poll, interrupt };
enum class HugePages { automatic, on, off };

// What the user asked for. 0 where the device decides.
struct Settings {
    Kind kind;
    std::string
        target; // the interface's name, the PCI address with its domain, or the virtual device with its arguments
    std::string driver; // of an interface: net_af_packet or net_af_xdp; of a virtual device its own; of PCI: empty
    std::uint16_t queues;
    std::uint16_t ring_size;
    std::uint32_t mbufs;
    std::uint16_t burst, mtu;
    std::uint32_t batch;
    Wait wait;
    std::chrono::nanoseconds idle; // between two polls that find nothing
    bool vlan_strip;
    HugePages huge_pages;
    std::string eal_args;
    std::uint32_t snaplen;
    bool promisc;

    explicit Settings(const OpenRequest& request); // throws Error bad_option

    // The value of one argument of a virtual device; empty: it is not there.
    std::string argument(const std::string& name) const;
    // The interface of the kernel that the device reads from; empty if there is none.
    std::string interface() const;
    // Whether what is captured does not reach the host's network stack, and the interface that it is taken from; empty
    // if the kernel has none any more.
    bool takes_packets() const;
    std::string taken_from() const;
};

} // namespace wirepath::dpdk
