// SPDX-License-Identifier: Apache-2.0
// UDP, and in one line what of the network's own housekeeping rides on it: DNS, DHCP, NTP.
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr Name ntp_modes[] = {{0, "unspecified"}, {1, "symmetric active"}, {2, "symmetric passive"}, {3, "Client"},
                              {4, "Server"},      {5, "Broadcast"},        {6, "Control Message"},   {7, "Reserved"}};
constexpr Name dhcp6_messages[] = {
    {1, "solicit"},  {2, "advertise"},  {3, "request"},      {4, "confirm"},     {5, "renew"},
    {6, "rebind"},   {7, "reply"},      {8, "release"},      {9, "decline"},     {10, "reconf"},
    {11, "inf-req"}, {12, "relay-fwd"}, {13, "relay-reply"}, {14, "leasequery"}, {15, "leasequery-reply"}};

void ntp(Context& c, const View& in) noexcept {
    if (!c.need(in, 1, "ntp"))
        return;
    c.out.put("NTPv", in.u8(0) >> 3 & 7u, ", ", name_of(ntp_modes, in.u8(0) & 7u), ", length ", in.length);
}

void dhcp(Context& c, const View& in) noexcept {
    if (!c.need(in, 3, "bootp"))
        return;
    const std::uint8_t operation = in.u8(0);
    c.out.put("BOOTP/DHCP, ");
    if (operation == 1 || operation == 2)
        c.out.put(operation == 1 ? "Request" : "Reply");
    else {
        c.out.put("unknown (0x");
        c.out.hex(operation, 2);
        c.out.put(')');
    }
    if (in.u8(1) == 1 && in.u8(2) == 6 && operation == 1) {
        if (!c.need(in, 34, "bootp"))
            return;
        c.out.put(" from ");
        c.out.mac(in.data + 28);
    }
    c.out.put(", length ", in.length);
}

void dhcp6(Context& c, const View& in) noexcept {
    if (!c.need(in, 1, "dhcp6"))
        return;
    const std::string_view name = name_of(dhcp6_messages, in.u8(0));
    c.out.put("dhcp6 ");
    if (name.empty())
        c.out.put("msgtype-", static_cast<std::uint32_t>(in.u8(0)));
    else
        c.out.put(name);
}

void put_checksum(Context& c, const View& in, const Carrier& ip) noexcept {
    if (c.style.no_checksums || ip.fragment || !c.verbose(ip.version == 4 ? 2 : 1))
        return;
    const std::uint16_t stated = in.u16(6);
    if (ip.version == 4 && stated == 0)
        return c.out.put("[no cksum] ");
    if (!in.has(in.length))
        return;
    const Checksum sum = transport_checksum(in, 17, ip);
    if (sum.remainder() == 0)
        return c.out.put("[udp sum ok] ");
    c.out.put("[bad udp cksum 0x");
    c.out.hex(stated, 4);
    c.out.put(" -> 0x");
    c.out.hex(sum.should_be(stated), 4);
    c.out.put("!] ");
}

// False: nothing that is known here.
bool known_payload(Context& c, const View& payload, std::uint16_t source, std::uint16_t destination) noexcept {
    const auto port = [=](std::uint16_t number) { return source == number || destination == number; };
    if (port(53))
        dns(c, payload, DnsOver::udp);
    else if (port(5353))
        dns(c, payload, DnsOver::multicast);
    else if (port(67) || port(68))
        dhcp(c, payload);
    else if (port(123))
        ntp(c, payload);
    else if (port(546) || port(547))
        dhcp6(c, payload);
    else
        return false;
    return true;
}

} // namespace

void udp(Context& c, View in, const Carrier& ip) noexcept {
    if (!in.has(4)) {
        put_address_pair(c, ip);
        c.out.put(": ");
        c.truncated("udp");
        return;
    }
    const std::uint16_t source = in.u16(0), destination = in.u16(2);
    put_port_pair(c, ip, source, destination);
    if (in.length < 8)
        return c.out.put("truncated-udp ", in.length);
    if (!c.need(in, 6, "udp"))
        return;
    std::uint32_t stated = in.u16(4);
    if (stated == 0 && in.length > 65535) // a jumbo datagram
        stated = in.length;
    if (stated < 8)
        return c.out.put("truncated-udplength ", stated);
    if (!c.need(in, 8, "udp"))
        return;
    in = in.first(stated);
    put_checksum(c, in, ip);
    const View payload = in.after(8);
    if (!c.style.quiet && known_payload(c, payload, source, destination))
        return;
    if (stated - 8 > payload.length && !ip.fragment)
        c.out.put("UDP, bad length ", stated - 8, " > ", payload.length);
    else
        c.out.put("UDP, length ", stated - 8);
}

} // namespace wirepath::decode
