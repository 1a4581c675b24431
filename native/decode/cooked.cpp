// SPDX-License-Identifier: Apache-2.0
// Linux cooked captures, the loopback families of BSD, and IP without a link header.
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr Name directions[] = {{0, "In"}, {1, "B"}, {2, "M"}, {3, "P"}, {4, "Out"}};
constexpr Name families[] = {{2, "IPv4"},  {7, "ISO"},   {16, "Appletalk"}, {23, "IPX"},
                             {24, "IPv6"}, {28, "IPv6"}, {30, "IPv6"}};

void put_cooked_type(Context& c, std::uint16_t type, std::uint32_t length) noexcept {
    if (c.style.quiet)
        return;
    const std::string_view name = ethertype_name(type);
    if (type == 1)
        c.out.put("802.3");
    else if (type == 4)
        c.out.put("802.2");
    else {
        c.out.put("ethertype ", name.empty() || type <= 1500 ? "Unknown" : name, " (0x");
        c.out.hex(type, 4);
        c.out.put(')');
    }
    c.out.put(", length ", length, ": ");
}

void put_cooked_address(Context& c, const std::uint8_t* address, std::uint32_t bytes) noexcept {
    if (bytes != 6)
        return;
    c.out.mac(address);
    c.out.put(' ');
}

void put_sll(Context& c, const View& packet) noexcept {
    const std::string_view direction = name_of(directions, packet.u16(0));
    for (std::size_t i = direction.empty() ? 1 : direction.size(); i < 3; ++i)
        c.out.put(' ');
    c.out.put(direction.empty() ? "?" : direction, ' ');
    put_cooked_address(c, packet.data + 6, packet.u16(4));
    put_cooked_type(c, packet.u16(14), packet.length);
}

void put_sll2(Context& c, const View& packet) noexcept {
    c.out.put("ifindex ", packet.u32(4), ' ');
    put_cooked_address(c, packet.data + 12, packet.u8(11));
    put_cooked_type(c, packet.u16(0), packet.length);
}

void put_cooked_tag(Context& c, std::uint16_t tci, std::uint16_t inner) noexcept {
    if (c.style.link_header)
        c.out.put("vlan ", tci & 0xfffu, ", p ", static_cast<std::uint32_t>(tci >> 13), (tci & 0x1000) ? ", DEI" : "",
                  ", ");
    const std::string_view name = ethertype_name(inner);
    if (!c.style.quiet)
        c.out.put("ethertype ", name.empty() ? "Unknown" : name, ", ");
}

// False: unknown.
bool cooked_payload(Context& c, std::uint16_t type, View payload) noexcept {
    while (type == 0x8100) {
        if (!c.need(payload, 4, "vlan"))
            return true;
        type = payload.u16(2) <= 1500 ? 4 : payload.u16(2);
        put_cooked_tag(c, payload.u16(0), type);
        payload = payload.after(4);
        c.link_header_bytes += 4;
    }
    if (type == 4) {
        std::uint32_t taken = 0;
        if (!llc(c, payload, {}, taken))
            unknown_bytes(c, payload);
        c.link_header_bytes += taken;
        return true;
    }
    return type > 1500 && ethertype_payload(c, type, payload);
}

void put_family(Context& c, std::uint32_t family, std::uint32_t length) noexcept {
    const std::string_view name = name_of(families, family);
    if (!c.style.quiet)
        c.out.put("AF ", name.empty() ? "Unknown" : name, " (", family, ')');
    else if (!name.empty())
        c.out.put(name);
    else
        c.out.put("Unknown AF ", family);
    c.out.put(", length ", length, ": ");
}

} // namespace

void linux_cooked(Context& c, View packet) noexcept {
    if (!c.need(packet, 16, "sll"))
        return;
    if (c.style.link_header)
        put_sll(c, packet);
    const View payload = packet.after(16);
    c.link_header_bytes += 16;
    if (cooked_payload(c, packet.u16(14), payload))
        return;
    if (!c.style.link_header && packet.u16(14) > 1500)
        put_sll(c, packet);
    unknown_bytes(c, payload);
}

void linux_cooked2(Context& c, View packet, std::string_view interface) noexcept {
    if (!c.need(packet, 20, "sll2"))
        return;
    const std::string_view direction = name_of(directions, packet.u8(10));
    c.out.put(interface);
    for (std::size_t i = interface.size(); i < 5; ++i)
        c.out.put(' ');
    c.out.put(' ', direction.empty() ? "?" : direction);
    for (std::size_t i = direction.empty() ? 1 : direction.size(); i < 3; ++i)
        c.out.put(' ');
    c.out.put(' ');
    if (c.style.link_header)
        put_sll2(c, packet);
    const View payload = packet.after(20);
    c.link_header_bytes += 20;
    if (cooked_payload(c, packet.u16(0), payload))
        return;
    if (!c.style.link_header && packet.u16(0) > 1500)
        put_sll2(c, packet);
    unknown_bytes(c, payload);
}

void loopback_family(Context& c, View packet) noexcept {
    if (!c.need(packet, 4, "null"))
        return;
    std::uint32_t family = packet.u32(0); // in either byte order: families are small numbers
    if ((family & 0xffff0000u) != 0)
        family = __builtin_bswap32(family);
    if (c.style.link_header)
        put_family(c, family, packet.length);
    const View payload = packet.after(4);
    c.link_header_bytes += 4;
    if (family == 2)
        ipv4(c, payload);
    else if (family == 24 || family == 28 || family == 30)
        ipv6(c, payload);
    else {
        if (!c.style.link_header)
            put_family(c, family, packet.length);
        unknown_bytes(c, payload);
    }
}

void raw_ip(Context& c, View packet) noexcept {
    if (c.style.link_header)
        c.out.put("ip: ");
    if (!c.need(packet, 1, "raw"))
        return;
    const std::uint8_t version = packet.u8(0) >> 4;
    if (version == 4)
        ipv4(c, packet);
    else if (version == 6)
        ipv6(c, packet);
    else
        c.out.put("unknown ip ", static_cast<std::uint32_t>(version));
}

} // namespace wirepath::decode
