// SPDX-License-Identifier: Apache-2.0
// What the kernel says of an interface in its generic netlink family "netdev", and takes
// (Documentation/netlink/specs/netdev.yaml).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "linux/fd.hpp"

namespace wirepath {

// One NAPI instance: a poll function of a driver. What a kernel does not tell of one instance is not there.
struct NapiInstance {
    std::uint32_t id = 0;
    std::optional<std::uint64_t> irq; // the driver has tied it to the instance
    std::optional<std::uint64_t> defer_hard_irqs, gro_flush_timeout_ns, threaded;
};

// Of the network namespace that the calling thread was in when it was made, wherever its owner is now. Where the kernel
// has no such family (before 6.3) every answer is empty.
class NetdevFamily {
  public:
    NetdevFamily() noexcept;

    // What the interface can do with XDP as it is set up now, a set of uapi::netdev_xdp_act bits.
    std::optional<std::uint64_t> xdp_features(int ifindex) const noexcept;
    // The metadata that the interface's driver gives to XDP programs, a set of uapi::netdev_xdp_rx_metadata bits.
    std::optional<std::uint64_t> xdp_rx_metadata(int ifindex) const noexcept;
    // Those that the driver has registered and that run: none while it is down, none before 6.8.
    std::vector<NapiInstance> napis(int ifindex) const;
    // attribute: uapi::netdev_a_napi_*. 0 or the errno; it takes CAP_NET_ADMIN in the initial user namespace.
    int set_napi(std::uint32_t id, std::uint16_t attribute, std::uint64_t value) const noexcept;

  private:
    std::optional<std::uint64_t> of_device(int ifindex, std::uint16_t attribute) const noexcept;

    Fd socket_;
    std::uint16_t family_ = 0;
};

// Nothing where the kernel does not say, before Linux 6.8.
std::optional<std::uint64_t> xdp_rx_metadata(int ifindex) noexcept;

} // namespace wirepath
