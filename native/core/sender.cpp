// SPDX-License-Identifier: Apache-2.0
#include "core/sender.hpp"

#include <cstring>

namespace wirepath {
namespace {

constexpr std::uint32_t addresses = 12; // bytes of an Ethernet frame before its tags
constexpr std::uint32_t ethernet_header = 14;
constexpr std::uint32_t linktype_ethernet = 1;

bool tagged(const Packet& packet) noexcept {
    if (packet.vlan_tpid != 0)
        return true;
    const auto first = std::to_integer<unsigned>(packet.data[addresses]);
    const auto second = std::to_integer<unsigned>(packet.data[addresses + 1]);
    return (first << 8 | second) == 0x8100; // the only one that packet(7) makes room for
}

} // namespace

SendStats SendCounters::read() const noexcept {
    SendStats stats;
    stats.queued = queued.get();
    stats.queued_bytes = queued_bytes.get();
    stats.errors = errors.get();
    stats.too_big = too_big.get();
    stats.retries = retries.get();
    stats.waits = waits.get();
    stats.copied = copies.packets.get();
    stats.copied_bytes = copies.bytes.get();
    return stats;
}

WireTag wire_tag(const Packet& packet) noexcept {
    const auto high = [](std::uint16_t n) { return static_cast<std::uint8_t>(n >> 8); };
    const auto low = [](std::uint16_t n) { return static_cast<std::uint8_t>(n); };
    return {{high(packet.vlan_tpid), low(packet.vlan_tpid), high(packet.vlan_tci), low(packet.vlan_tci)}};
}

void write_frame(std::byte* to, const Packet& packet, CopyCount& count) noexcept {
    if (packet.vlan_tpid == 0 || packet.data.size() < addresses) {
        copy_payload(to, packet.data, count);
        return;
    }
    const WireTag tag = wire_tag(packet);
    std::memcpy(to, packet.data.data(), addresses);
    std::memcpy(to + addresses, tag.bytes, sizeof tag.bytes);
    copy_payload(to + addresses + sizeof tag.bytes, packet.data.subspan(addresses), count);
    count.bytes.add(addresses);
}

FrameLimit::FrameLimit(std::uint32_t linktype, std::uint32_t mtu) noexcept
    : header_(linktype == linktype_ethernet ? ethernet_header : 0), most_(mtu + header_) {}

FrameLimit::Verdict FrameLimit::judge(const Packet& packet) const noexcept {
    const std::uint32_t bytes = bytes_to_send(packet);
    if (packet.data.empty() || packet.data.size() < header_)
        return Verdict::too_short;
    if (bytes <= most_)
        return Verdict::fits;
    return header_ != 0 && bytes <= most_ + 4 && tagged(packet) ? Verdict::fits : Verdict::too_big;
}

} // namespace wirepath
