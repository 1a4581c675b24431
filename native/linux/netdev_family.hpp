// SPDX-License-Identifier: Apache-2.0
// What the kernel says of an interface in its generic netlink family "netdev"
// (Documentation/netlink/specs/netdev.yaml).
#pragma once

#include <cstdint>
#include <optional>

namespace wirepath {

// The metadata that the interface's driver gives to XDP programs, a set of uapi::netdev_xdp_rx_metadata bits. Nothing
// where the kernel does not say, before Linux 6.8.
std::optional<std::uint64_t> xdp_rx_metadata(int ifindex) noexcept;

} // namespace wirepath
