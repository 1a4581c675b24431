// SPDX-License-Identifier: Apache-2.0
// What IPv4 and IPv6 carry.
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr std::uint32_t deepest = 16; // packets within packets

constexpr Name protocols[] = {
    {0, "Options"},
    {1, "ICMP"},
    {2, "IGMP"},
    {4, "IPIP"},
    {6, "TCP"},
    {8, "EGP"},
    {9, "IGRP"},
    {17, "UDP"},
    {33, "DCCP"},
    {41, "IPv6"},
    {43, "Routing"},
    {44, "Fragment"},
    {46, "RSVP"},
    {47, "GRE"},
    {50, "ESP"},
    {51, "AH"},
    {55, "Mobile IP"},
    {58, "ICMPv6"},
    {62, "Mobile IP (old)"},
    {88, "EIGRP"},
    {89, "OSPF"},
    {103, "PIM"},
    {108, "Compressed IP"},
    {112, "VRRP"},
    {113, "PGM"},
    {132, "SCTP"},
    {135, "Mobility"},
    {143, "Ethernet"},
};

void within(Context& c, View packet, void (*layer)(Context&, View)) noexcept {
    if (++c.depth > deepest)
        c.out.put("[more than ", deepest, " packets within packets]");
    else
        layer(c, packet);
    --c.depth;
}

void esp(Context& c, const View& in) noexcept {
    if (!c.need(in, 8, "esp"))
        return;
    c.out.put("ESP(spi=0x");
    c.out.hex(in.u32(0), 8);
    c.out.put(",seq=0x");
    c.out.hex(in.u32(4));
    c.out.put("), length ", in.length);
}

void authentication(Context& c, const View& in, const Carrier& ip) noexcept {
    if (!c.need(in, 12, "ah"))
        return;
    const std::uint32_t header = (in.u8(1) + 2u) * 4;
    c.out.put("AH(");
    if (c.verbose())
        c.out.put("length=", static_cast<std::uint32_t>(in.u8(1)), "(", header, "-bytes),");
    c.out.put("spi=0x");
    c.out.hex(in.u32(4), 8);
    c.out.put(",seq=0x");
    c.out.hex(in.u32(8));
    if (!c.need(in, header, "ah"))
        return;
    c.out.put(",icv=0x");
    for (std::uint32_t at = 12; at < header; at += 4)
        c.out.hex(in.u32(at), 8);
    c.out.put("): ");
    ip_payload(c, in.u8(0), in.after(header), ip);
}

void sctp(Context& c, const View& in, const Carrier& ip) noexcept {
    if (!c.need(in, 12, "sctp"))
        return;
    put_port_pair(c, ip, in.u16(0), in.u16(2));
    c.out.put("sctp, length ", in.length);
}

void wrong_version(Context& c, std::uint8_t protocol, std::string_view needed) noexcept {
    c.out.put('[', ip_protocol_name(protocol), " requires ", needed, ']');
    c.invalid();
}

} // namespace

std::string_view ip_protocol_name(std::uint8_t protocol) noexcept { return name_of(protocols, protocol); }

void put_address_pair(Context& c, const Carrier& ip) noexcept {
    if (ip.version == 4) {
        c.out.ipv4(ip.header.data + 12);
        c.out.put(" > ");
        c.out.ipv4(ip.header.data + 16);
    } else {
        c.out.ipv6(ip.header.data + 8);
        c.out.put(" > ");
        c.out.ipv6(ip.header.data + 24);
    }
}

// Behind an extension header or a tunnel, the addresses have been said already.
void put_port_pair(Context& c, const Carrier& ip, std::uint16_t source, std::uint16_t destination) noexcept {
    const bool addresses = ip.protocol == 6 || ip.protocol == 17 || ip.protocol == 132 || ip.protocol == 33;
    const std::uint8_t* const from = ip.header.data + (ip.version == 4 ? 12 : 8);
    const auto end = [&](const std::uint8_t* address, std::uint16_t port) {
        if (addresses) {
            ip.version == 4 ? c.out.ipv4(address) : c.out.ipv6(address);
            c.out.put('.');
        }
        c.out.decimal(port);
    };
    end(from, source);
    c.out.put(" > ");
    end(from + (ip.version == 4 ? 4 : 16), destination);
    c.out.put(": ");
}

Checksum transport_checksum(const View& bytes, std::uint8_t protocol, const Carrier& ip) noexcept {
    Checksum sum;
    const std::uint32_t address_bytes = ip.version == 4 ? 4 : 16;
    const std::uint8_t* const source = ip.header.data + (ip.version == 4 ? 12 : 8);
    sum.add(source, address_bytes);
    sum.add(ip.final_destination != nullptr ? ip.final_destination : source + address_bytes, address_bytes);
    sum.add(bytes.length);
    sum.add(protocol);
    sum.add(bytes.data, bytes.length);
    return sum;
}

void ip_payload(Context& c, std::uint8_t protocol, View payload, const Carrier& ip) noexcept {
    switch (protocol) {
    case 6:
        return tcp(c, payload, ip);
    case 17:
        return udp(c, payload, ip);
    case 1:
        return ip.version == 4 ? icmp(c, payload, ip) : wrong_version(c, protocol, "IPv4");
    case 58:
        return ip.version == 6 ? icmp6(c, payload, ip) : wrong_version(c, protocol, "IPv6");
    case 2:
        return ip.version == 4 ? igmp(c, payload) : wrong_version(c, protocol, "IPv4");
    case 4:
        return within(c, payload, [](Context& inner, View packet) { ipv4(inner, packet); });
    case 41:
        return within(c, payload, [](Context& inner, View packet) { ipv6(inner, packet); });
    case 50:
        return esp(c, payload);
    case 51:
        return authentication(c, payload, ip);
    case 132:
        return sctp(c, payload, ip);
    case 59:
        return c.out.put("no next header");
    default:
        break;
    }
    const std::string_view name = ip_protocol_name(protocol);
    if (name.empty())
        c.out.put(" ip-proto-", static_cast<std::uint32_t>(protocol), ' ', payload.length);
    else
        c.out.put(name, ", length ", payload.length);
}

} // namespace wirepath::decode
