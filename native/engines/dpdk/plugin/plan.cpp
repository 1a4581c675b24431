// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/plan.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <charconv>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/fd.hpp"

namespace wirepath::dpdk {
namespace {

constexpr std::uint32_t around_mtu = 14 + 8;      // an Ethernet header and two tags
constexpr std::uint32_t packet_ring_header = 128; // what a packet ring puts before a frame, rounded up
constexpr std::uint32_t packet_ring = 32 << 20;   // bytes
constexpr std::uint32_t packet_block = 64 << 10;  // bytes, of whole frames
constexpr std::uint32_t umem_room = 4096 - 320;   // a page without the headers of DPDK's
constexpr std::uint32_t umem_headroom = 256;      // XDP_PACKET_HEADROOM
constexpr std::uint16_t umem_fill = 2048;         // frames: net_af_xdp fills no more
constexpr std::uint32_t usual_room = 2048;
constexpr std::uint32_t sent_frames = 512;      // of a ring to send
constexpr std::uint32_t spare_bytes = 32 << 20; // of buffers that batches may hold

std::string new_device(const std::string& driver) {
    static std::atomic<std::uint32_t> made{0};
    return "vdev:" + driver + std::to_string(made++);
}

// The queues that net_af_xdp takes: those that receive and send.
std::uint32_t combined_channels(const std::string& name) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = reinterpret_cast<char*>(&channels);
    if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0)
        return 1;
    return std::max(1U, channels.combined_count);
}

std::string over_packet_socket(const NetDevice& device, const Settings& settings) {
    const std::uint32_t frame = std::max(2048U, std::bit_ceil(device.mtu + around_mtu + packet_ring_header));
    if (frame > 32768)
        throw Error(Code::unsupported, "opening " + device.name + " with net_af_packet", 0,
                    "It has an MTU of " + std::to_string(device.mtu) + ": this driver takes packets up to 16 KiB");
    const std::uint32_t usual = settings.sends ? sent_frames : std::clamp(packet_ring / frame, 512U, 8192U);
    const std::uint32_t frames = settings.ring_size != 0 ? settings.ring_size : usual;
    const std::uint32_t in_a_block = packet_block / frame;
    return new_device("net_af_packet") + ",iface=" + device.name +
           ",qpairs=" + std::to_string(std::max<std::uint16_t>(1, settings.queues)) +
           ",blocksz=" + std::to_string(packet_block) + ",framesz=" + std::to_string(frame) +
           ",framecnt=" + std::to_string((frames + in_a_block - 1) / in_a_block * in_a_block) +
           (settings.sends ? ",qdisc_bypass=" + std::to_string(settings.qdisc_bypass ? 1 : 0) : "");
}

std::string over_af_xdp(const NetDevice& device, const Settings& settings) {
    const std::uint32_t longest = umem_room - umem_headroom - around_mtu;
    if (device.mtu > longest)
        throw Error(Code::unsupported, "opening " + device.name + " with net_af_xdp", 0,
                    "It has an MTU of " + std::to_string(device.mtu) + ", and this driver takes one of " +
                        std::to_string(longest) + " at the most: use the engine af_xdp, or driver=af_packet");
    const std::uint32_t queues = settings.queues != 0 ? settings.queues : combined_channels(device.name);
    return new_device("net_af_xdp") + ",iface=" + device.name + ",start_queue=0,queue_count=" + std::to_string(queues);
}

// Bytes that a buffer must take.
std::uint32_t room_for(const Settings& settings, const rte_eth_dev_info& info, std::uint32_t mtu) {
    if (settings.driver == "net_af_packet") {
        const std::string frame = settings.argument("framesz");
        std::uint32_t given = 0;
        std::from_chars(frame.data(), frame.data() + frame.size(), given);
        return settings.kind == Kind::interface ? std::max(2048U, std::bit_ceil(mtu + around_mtu + packet_ring_header))
                                                : std::max(2048U, given);
    }
    if (settings.driver == "net_af_xdp")
        return mtu + around_mtu + umem_headroom <= usual_room ? usual_room : umem_room;
    const std::uint32_t whole = (mtu + around_mtu + 4 + 63) / 64 * 64;
    const bool in_pieces = !settings.sends && (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
    return in_pieces ? usual_room : std::max(usual_room, whole);
}

std::uint16_t ring_for(const Settings& settings, const rte_eth_dev_info& info) {
    const bool shared = settings.driver == "net_af_xdp"; // it has one size for both directions
    std::uint16_t size = settings.sends && !shared ? std::uint16_t{0} : settings.ring_size;
    if (size == 0)
        size = settings.driver == "net_af_xdp" ? umem_fill
               : settings.driver == "net_tap"  ? 64 // as many parts as each of its packets may have
                                               : std::max<std::uint16_t>(1024, info.default_rxportconf.ring_size);
    return settings.driver == "net_af_xdp" ? std::bit_ceil(size) : size;
}

std::uint32_t kept_by_driver(const Settings& settings, std::uint16_t ring_size) {
    if (settings.driver == "net_af_packet")
        return 2U * settings.burst;
    if (settings.driver == "net_af_xdp")
        return 2U * umem_fill + 2U * settings.burst;
    return ring_size + 2U * settings.burst;
}

} // namespace

std::string device_over(const NetDevice& device, const Settings& settings) {
    if (linktype_of_hardware(device.hardware_type) != linktype_ethernet)
        throw Error(Code::unsupported, settings.doing(device.name) + " with DPDK", 0,
                    "It is not an Ethernet interface: use the engine tpacket_v3");
    if (!device.up())
        throw Error(Code::gone, settings.doing(device.name), ENETDOWN,
                    "Bring it up first: ip link set " + device.name + " up");
    if (settings.mtu != 0)
        throw Error(Code::bad_option, "the option mtu cannot be set for " + device.name, 0,
                    "It is the interface's own: ip link set " + device.name + " mtu " + std::to_string(settings.mtu));
    return settings.driver == "net_af_xdp" ? over_af_xdp(device, settings) : over_packet_socket(device, settings);
}

Plan plan_for(const Settings& settings, const rte_eth_dev_info& info, std::uint32_t mtu) {
    Plan plan;
    const bool by_kernel = settings.driver == "net_af_packet" || settings.driver == "net_af_xdp";
    if (settings.kind == Kind::vdev && settings.mtu != 0)
        throw Error(Code::bad_option, "the option mtu cannot be set for " + settings.target, 0,
                    "It is for NICs, by their PCI address: a virtual device has its own");
    const std::uint32_t own = settings.mtu != 0 ? settings.mtu : 1500U;
    plan.mtu = static_cast<std::uint16_t>(by_kernel && mtu != 0 ? mtu : own);
    if (!by_kernel && info.max_mtu != 0 && plan.mtu > info.max_mtu)
        throw Error(Code::bad_option, "the option mtu cannot be " + std::to_string(plan.mtu), 0,
                    "This device takes " + std::to_string(info.max_mtu) + " at the most");
    plan.queues = by_kernel ? info.max_rx_queues : std::max<std::uint16_t>(1, settings.queues);
    if (plan.queues > info.max_rx_queues)
        throw Error(Code::bad_option, "the option queues cannot be " + std::to_string(plan.queues), 0,
                    "This device has " + std::to_string(info.max_rx_queues));
    plan.room = static_cast<std::uint16_t>(room_for(settings, info, plan.mtu));
    plan.ring_size = ring_for(settings, info);
    if (settings.sends && settings.ring_size != 0)
        plan.send_ring_size = settings.ring_size;
    plan.kept = kept_by_driver(settings, plan.ring_size);
    plan.mbufs =
        settings.mbufs != 0 ? settings.mbufs : 2 * plan.kept + std::clamp(spare_bytes / plan.room, 1024U, 16384U);
    if (plan.mbufs <= plan.kept + settings.burst)
        throw Error(Code::bad_option, "the option mbufs cannot be " + std::to_string(plan.mbufs), 0,
                    "The driver itself keeps up to " + std::to_string(plan.kept) + ": more than " +
                        std::to_string(plan.kept + settings.burst) + " are needed");
    if (settings.driver == "net_af_packet" || settings.vlan_strip)
        plan.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP; // from a packet socket, tags come outside of the bytes anyway
    // net_tap's interface may be given another MTU at any time.
    if (plan.mtu + around_mtu + 4 > plan.room || settings.driver == "net_tap")
        plan.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
    if (settings.vlan_strip && (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) == 0)
        throw Error(Code::unsupported, "having VLAN tags taken out of the bytes", 0, "This device cannot");
    plan.offloads &= info.rx_offload_capa;
    constexpr std::uint64_t flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    plan.rss = plan.queues > 1 ? info.flow_type_rss_offloads & flows : 0;
    return plan;
}

} // namespace wirepath::dpdk
