// SPDX-License-Identifier: Apache-2.0
// Constants of the kernel's interface that are newer than the oldest headers Wirepath is built with (Linux 6.1). A
// kernel that does not know one refuses it, and the caller goes on without.
#pragma once

#include <cstdint>

namespace wirepath::uapi {

// <linux/if_xdp.h>, Linux 6.6: a packet may take several frames.
inline constexpr std::uint16_t xdp_use_sg = 1 << 4;
inline constexpr std::uint32_t xdp_pkt_contd = 1 << 0;

// <linux/bpf.h>, Linux 6.3: a program for one device, that may ask its driver for a packet's metadata.
inline constexpr std::uint32_t bpf_f_xdp_dev_bound_only = 1U << 6;

// <linux/bpf.h>, Linux 6.6: tc programs held by links, in an order that their owners choose.
inline constexpr std::uint32_t bpf_tcx_ingress = 46;
inline constexpr std::uint32_t bpf_tcx_egress = 47;
inline constexpr std::uint32_t bpf_f_before = 1U << 3;

// <linux/netdev.h>, Linux 6.3, the metadata features 6.8.
inline constexpr std::uint8_t netdev_cmd_dev_get = 1;
inline constexpr std::uint16_t netdev_a_dev_ifindex = 1;
inline constexpr std::uint16_t netdev_a_dev_xdp_features = 3;
inline constexpr std::uint16_t netdev_a_dev_xdp_rx_metadata_features = 5;
inline constexpr std::uint64_t netdev_xdp_act_ndo_xmit = 1 << 2;
inline constexpr std::uint64_t netdev_xdp_rx_metadata_vlan_tag = 1 << 2;

// <linux/netdev.h>: NAPI instances 6.8, their settings 6.13, `threaded` among them 6.17.
inline constexpr std::uint8_t netdev_cmd_napi_get = 11;
inline constexpr std::uint8_t netdev_cmd_napi_set = 14;
inline constexpr std::uint16_t netdev_a_napi_ifindex = 1;
inline constexpr std::uint16_t netdev_a_napi_id = 2;
inline constexpr std::uint16_t netdev_a_napi_irq = 3;
inline constexpr std::uint16_t netdev_a_napi_defer_hard_irqs = 5;
inline constexpr std::uint16_t netdev_a_napi_gro_flush_timeout = 6;
inline constexpr std::uint16_t netdev_a_napi_threaded = 8;

// <asm-generic/socket.h>, Linux 5.14: a number of the network namespace that no later one gets.
inline constexpr int so_netns_cookie = 71;

} // namespace wirepath::uapi
