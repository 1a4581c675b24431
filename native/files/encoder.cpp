// SPDX-License-Identifier: Apache-2.0
#include "files/encoder.hpp"

#include <algorithm>
#include <array>

namespace wirepath::files {
namespace {

constexpr std::uint32_t linktype_ethernet = 1, linktype_cooked = 113, linktype_cooked_2 = 276;
constexpr std::uint32_t after_addresses = 12;                        // of an Ethernet header
constexpr std::uint32_t cooked_protocol = 14;                        // where it is in Linux cooked, version 1
constexpr std::uint32_t cooked_2_header = 20, cooked_2_protocol = 0; // and in version 2
constexpr std::uint32_t tag_bytes = 4;

void store_network_order(std::byte* to, std::uint16_t value) noexcept {
    to[0] = static_cast<std::byte>(value >> 8);
    to[1] = static_cast<std::byte>(value);
}

} // namespace

// As libpcap does it: the tag counts as captured, so that the last four bytes of a packet that snaplen cut go.
void Body::make_room_for_tag(std::uint32_t linktype, std::uint32_t snaplen) noexcept {
    const std::uint32_t at = linktype == linktype_ethernet   ? after_addresses
                             : linktype == linktype_cooked   ? cooked_protocol
                             : linktype == linktype_cooked_2 ? cooked_2_header
                                                             : no_tag;
    if (caplen_ < at)
        return; // too short to have had a tag, or a link layer that has none
    tag_at_ = at;
    if (linktype == linktype_cooked_2)
        type_at_ = cooked_2_protocol;
    caplen_ += tag_bytes;
    origlen_ += tag_bytes;
    if (snaplen != 0)
        caplen_ = std::min(caplen_, std::max(snaplen, at));
}

void Body::copy_with_tag(std::byte* to, CopyCount& count) const noexcept {
    std::array<std::byte, cooked_2_header + tag_bytes> head;
    const std::byte* from = packet_.data.data();
    std::copy_n(from, tag_at_, head.data());
    if (type_at_ == no_tag) {
        store_network_order(head.data() + tag_at_, packet_.vlan_tpid);
        store_network_order(head.data() + tag_at_ + 2, packet_.vlan_tci);
    } else { // the protocol becomes the tag's, and what it was follows the tag
        store_network_order(head.data() + type_at_, packet_.vlan_tpid);
        store_network_order(head.data() + tag_at_, packet_.vlan_tci);
        std::copy_n(from + type_at_, 2, head.data() + tag_at_ + 2);
    }
    const std::uint32_t in_head = std::min(caplen_, tag_at_ + tag_bytes);
    std::copy_n(head.data(), in_head, to);
    copy_payload(to + in_head, packet_.data.subspan(tag_at_, caplen_ - in_head), count);
}

} // namespace wirepath::files
