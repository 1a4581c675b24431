// SPDX-License-Identifier: Apache-2.0
#include "decode/line.hpp"

#include <algorithm>

#include "decode/hexdump.hpp"
#include "decode/layers.hpp"

namespace wirepath {
namespace decode {

void unknown_bytes(Context& c, const View& bytes) noexcept {
    const bool shown_anyway = c.style.dump >= Dump::hex && c.style.dump <= Dump::hex_ascii_link;
    if (!c.style.quiet && !shown_anyway)
        put_hex_ascii_lines(c.out, bytes.data, bytes.captured, "\n\t");
}

namespace {

enum LinkType : std::uint32_t {
    null = 0,
    ether = 1,
    raw = 101,
    loop = 108,
    sll = 113,
    ipv4_only = 228,
    ipv6_only = 229,
    sll2 = 276
};

const std::uint8_t* bytes_of(const Packet& packet) noexcept {
    return reinterpret_cast<const std::uint8_t*>(packet.data.data());
}

View view_of(const Packet& packet) noexcept {
    return {bytes_of(packet), static_cast<std::uint32_t>(packet.data.size()), packet.origlen};
}

// The frame as it was on the wire, with the tag that its metadata holds.
void put_tagged(Text& out, const Packet& packet) noexcept {
    const std::string_view frame(reinterpret_cast<const char*>(packet.data.data()), packet.data.size());
    out.clear();
    out.put(frame.substr(0, 12));
    for (const std::uint16_t half : {packet.vlan_tpid, packet.vlan_tci}) {
        out.put(static_cast<char>(half >> 8));
        out.put(static_cast<char>(half & 0xff));
    }
    out.put(frame.substr(12));
}

// False: there is nothing to decode.
bool check_lengths(Text& out, const Packet& packet) noexcept {
    const auto caplen = static_cast<std::uint32_t>(packet.data.size());
    if (caplen != 0 && packet.origlen >= caplen)
        return true;
    out.put("[Invalid header:");
    if (caplen == 0)
        out.put(" caplen==0");
    if (packet.origlen == 0)
        out.put(caplen == 0 ? "," : "", " len==0");
    else if (packet.origlen < caplen)
        out.put(" len(", packet.origlen, ") < caplen(", caplen, ')');
    out.put(']');
    return false;
}

} // namespace
} // namespace decode

LineDecoder::LineDecoder(const Style& style) : style_(style), clock_(style.time, style.nanoseconds) {}

// What a Linux cooked header names by its index.
std::string_view LineDecoder::sll2_interface(const Packet& packet, const Interface& interface) const noexcept {
    const decode::View view = decode::view_of(packet);
    if (!view.has(8))
        return "?";
    const std::uint32_t index = view.u32(4);
    if (const auto known = names_.find(index); known != names_.end())
        return known->second;
    return index != 0 && index == interface.ifindex ? std::string_view(interface.name) : std::string_view("?");
}

void LineDecoder::put_link(decode::Context& c, const Packet& packet, const Interface& interface) const noexcept {
    using namespace decode;
    const View view = view_of(packet);
    switch (interface.linktype) {
    case ether:
        return ethernet(c, view, packet.vlan_tpid, packet.vlan_tci);
    case sll:
        return linux_cooked(c, view);
    case sll2:
        return linux_cooked2(c, view, sll2_interface(packet, interface));
    case raw:
    case 12: // how some systems number LINKTYPE_RAW
    case ipv4_only:
    case ipv6_only:
        return raw_ip(c, view);
    case null:
    case loop:
        return loopback_family(c, view);
    default:
        c.out.put("linktype ", interface.linktype, ", length ", view.length);
        return unknown_bytes(c, view);
    }
}

void LineDecoder::put(Text& out, const Packet& packet, const Interface& interface) noexcept {
    ++number_;
    if (style_.numbers) {
        out.decimal(number_, 5, ' ');
        out.put("  ");
    }
    if (decode::check_lengths(out, packet)) {
        clock_.put(out, packet.ts);
        if (style_.interfaces)
            out.put(interface.name, ' ');
        decode::Context context{out, style_, conversations_};
        put_link(context, packet, interface);
        out.unmute();
        put_dump(out, packet, interface.linktype, context.link_header_bytes);
    }
    out.put('\n');
}

void LineDecoder::put_dump(Text& out, const Packet& packet, std::uint32_t linktype,
                           std::uint32_t link_header_bytes) noexcept {
    if (style_.dump == Dump::none)
        return;
    const bool link =
        style_.dump == Dump::hex_link || style_.dump == Dump::hex_ascii_link || style_.dump == Dump::ascii_link;
    const std::uint8_t* bytes = decode::bytes_of(packet);
    std::size_t count = packet.data.size();
    if (!link) {
        const std::size_t skipped = std::min<std::size_t>(link_header_bytes, count);
        bytes += skipped;
        count -= skipped;
    } else if (packet.vlan_tpid != 0 && linktype == decode::ether && count >= 12) {
        decode::put_tagged(tagged_, packet);
        bytes = reinterpret_cast<const std::uint8_t*>(tagged_.view().data());
        count = tagged_.size();
    }
    if (count == 0)
        return;
    switch (style_.dump) {
    case Dump::hex:
    case Dump::hex_link:
        return decode::put_hex_lines(out, bytes, count, "\n\t");
    case Dump::hex_ascii:
    case Dump::hex_ascii_link:
        return decode::put_hex_ascii_lines(out, bytes, count, "\n\t");
    default:
        return decode::put_ascii(out, bytes, count);
    }
}

} // namespace wirepath
