// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "core/engine.hpp"

namespace wirepath::dpdk {

std::span<const OptionSpec> option_specs() noexcept;
std::span<const OptionSpec> send_option_specs() noexcept;

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
    std::uint16_t queues = 1;
    std::uint16_t ring_size; // of a receive queue; of who sends, of the send queue
    std::uint32_t mbufs = 0;
    std::uint16_t burst, mtu;
    std::uint32_t batch = 0;
    Wait wait = Wait::poll;
    std::chrono::nanoseconds idle{}; // between two polls that find nothing
    bool vlan_strip = false;
    HugePages huge_pages;
    std::string eal_args;
    std::uint32_t snaplen = 0;
    bool promisc = false;
    bool sends = false, qdisc_bypass = false;

    // Throw Error bad_option.
    explicit Settings(const OpenRequest& request);
    explicit Settings(const SendRequest& request);

    // The value of one argument of a virtual device; empty: it is not there.
    std::string argument(const std::string& name) const;
    // The interface of the kernel that the device reads from; empty if there is none.
    std::string interface() const;
    // Whether what is captured does not reach the host's network stack, and the interface that it is taken from; empty
    // if the kernel has none any more.
    bool takes_packets() const;
    std::string taken_from() const;
    // "capturing from eth0"
    std::string doing(const std::string& device) const;

  private:
    Settings(const std::string& asked, const Options& options);
};

} // namespace wirepath::dpdk
