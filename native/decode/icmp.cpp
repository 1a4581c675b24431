// SPDX-License-Identifier: Apache-2.0
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t {
    echo_reply = 0,
    unreachable = 3,
    source_quench = 4,
    redirect = 5,
    echo_request = 8,
    router_advertisement = 9,
    time_exceeded = 11,
    parameter_problem = 12,
    timestamp_request = 13,
    timestamp_reply = 14,
    mask_reply = 18
};

constexpr Name other_types[] = {{source_quench, "source quench"},
                                {10, "router solicitation"},
                                {15, "information request"},
                                {16, "information reply"},
                                {17, "address mask request"}};

// The message of an error quotes the packet that caused it, from byte 8 on.
constexpr std::uint32_t quoted_protocol = 8 + 9, quoted_destination = 8 + 16;

struct Unreachable {
    std::string_view before, after;
};
constexpr Unreachable unreachable_codes[] = {
    {"net ", " unreachable"},
    {"host ", " unreachable"},
    {"", ""}, // protocol
    {"", ""}, // port
    {"", ""}, // fragmentation needed
    {"", " unreachable - source route failed"},
    {"net ", " unreachable - unknown"},
    {"host ", " unreachable - unknown"},
    {"", " unreachable - source host isolated"},
    {"net ", " unreachable - admin prohibited"},
    {"host ", " unreachable - admin prohibited"},
    {"net ", " unreachable - tos prohibited"},
    {"host ", " unreachable - tos prohibited"},
    {"host ", " unreachable - admin prohibited filter"},
    {"host ", " unreachable - host precedence violation"},
    {"host ", " unreachable - precedence cutoff"},
};

void put_port_unreachable(Context& c, const View& in) noexcept {
    const std::uint32_t port_at = 8 + (in.u8(8) & 15u) * 4 + 2;
    if (!c.need(in, port_at, 2, "icmp"))
        return;
    const std::uint8_t protocol = in.u8(quoted_protocol);
    c.out.put("ICMP ");
    c.out.ipv4(in.data + quoted_destination);
    if (protocol == 6 || protocol == 17)
        c.out.put(protocol == 6 ? " tcp port " : " udp port ", in.u16(port_at), " unreachable");
    else
        c.out.put(" protocol ", static_cast<std::uint32_t>(protocol), " port ", in.u16(port_at), " unreachable");
}

void put_unreachable(Context& c, const View& in) noexcept {
    const std::uint8_t code = in.u8(1);
    if (!c.need(in, quoted_destination, 4, "icmp"))
        return;
    if (code == 3)
        return put_port_unreachable(c, in);
    c.out.put("ICMP ");
    const bool known = code < std::size(unreachable_codes);
    if (known)
        c.out.put(unreachable_codes[code].before);
    c.out.ipv4(in.data + quoted_destination);
    if (code == 2)
        c.out.put(" protocol ", static_cast<std::uint32_t>(in.u8(quoted_protocol)), " unreachable");
    else if (code == 4) {
        c.out.put(" unreachable - need to frag");
        if (in.u16(6) != 0)
            c.out.put(" (mtu ", in.u16(6), ')');
    } else if (known)
        c.out.put(unreachable_codes[code].after);
    else
        c.out.put(" unreachable - #", static_cast<std::uint32_t>(code));
}

void put_redirect(Context& c, const View& in) noexcept {
    const std::uint8_t code = in.u8(1);
    if (!c.need(in, quoted_destination, 4, "icmp"))
        return;
    c.out.put("ICMP redirect");
    if (code == 2 || code == 3)
        c.out.put("-tos");
    else if (code > 3)
        c.out.put("-#", static_cast<std::uint32_t>(code));
    c.out.put(' ');
    c.out.ipv4(in.data + quoted_destination);
    c.out.put(code > 3 ? " to " : (code & 1) != 0 ? " to host " : " to net ");
    c.out.ipv4(in.data + 4);
}

void put_lifetime(Context& c, std::uint32_t seconds) noexcept {
    if (seconds >= 3600) {
        c.out.put(seconds / 3600, ':');
        c.out.decimal(seconds % 3600 / 60, 2, '0');
        c.out.put(':');
        c.out.decimal(seconds % 60, 2, '0');
    } else if (seconds >= 60) {
        c.out.put(seconds / 60, ':');
        c.out.decimal(seconds % 60, 2, '0');
    } else {
        c.out.decimal(seconds);
    }
}

void put_routers(Context& c, const View& in) noexcept {
    if (!c.need(in, 8, "icmp"))
        return;
    const std::uint32_t count = in.u8(4), words = in.u8(5);
    if (words == 2 && !c.need(in, 8 + 8 * count, "icmp"))
        return;
    c.out.put("ICMP router advertisement lifetime ");
    put_lifetime(c, in.u16(6));
    c.out.put(' ', count, ':');
    if (words != 2)
        return c.out.put(" [size ", words, ']');
    for (std::uint32_t at = 8; at < 8 + 8 * count; at += 8) {
        c.out.put(" {");
        c.out.ipv4(in.data + at);
        c.out.put(' ', in.u32(at + 4), '}');
    }
}

void put_milliseconds_of_day(Context& c, std::uint32_t ms) noexcept {
    c.out.decimal(ms / 3600000, 2, '0');
    c.out.put(':');
    c.out.decimal(ms / 60000 % 60, 2, '0');
    c.out.put(':');
    c.out.decimal(ms / 1000 % 60, 2, '0');
    c.out.put('.');
    c.out.decimal(ms % 1000, 3, '0');
}

void put_timestamp_reply(Context& c, const View& in) noexcept {
    if (!c.need(in, 20, "icmp"))
        return;
    c.out.put("ICMP time stamp reply id ", in.u16(4), " seq ", in.u16(6), ": org ");
    put_milliseconds_of_day(c, in.u32(8));
    c.out.put(", recv ");
    put_milliseconds_of_day(c, in.u32(12));
    c.out.put(", xmit ");
    put_milliseconds_of_day(c, in.u32(16));
}

void put_time_exceeded(Context& c, const View& in) noexcept {
    if (!c.need(in, quoted_destination, 4, "icmp"))
        return;
    const std::uint8_t code = in.u8(1);
    if (code > 1)
        c.out.put("ICMP time exceeded-#", static_cast<std::uint32_t>(code));
    else
        c.out.put(code == 0 ? "ICMP time exceeded in-transit" : "ICMP ip reassembly time exceeded");
}

void put_message(Context& c, const View& in) noexcept {
    const std::uint8_t type = in.u8(0);
    switch (type) {
    case echo_reply:
    case echo_request:
        if (c.need(in, 8, "icmp"))
            c.out.put(type == echo_request ? "ICMP echo request, id " : "ICMP echo reply, id ", in.u16(4), ", seq ",
                      in.u16(6));
        return;
    case unreachable:
        return put_unreachable(c, in);
    case redirect:
        return put_redirect(c, in);
    case router_advertisement:
        return put_routers(c, in);
    case time_exceeded:
        return put_time_exceeded(c, in);
    case parameter_problem:
        if (c.need(in, 5, "icmp"))
            c.out.put("ICMP parameter problem - ", in.u8(1) != 0 ? "code " : "octet ",
                      static_cast<std::uint32_t>(in.u8(1) != 0 ? in.u8(1) : in.u8(4)));
        return;
    case mask_reply:
        if (c.need(in, 12, "icmp")) {
            c.out.put("ICMP address mask is 0x");
            c.out.hex(in.u32(8), 8);
        }
        return;
    case timestamp_request:
        if (c.need(in, 8, "icmp"))
            c.out.put("ICMP time stamp query id ", in.u16(4), " seq ", in.u16(6));
        return;
    case timestamp_reply:
        return put_timestamp_reply(c, in);
    default:
        break;
    }
    const std::string_view name = name_of(other_types, type);
    if (name.empty())
        c.out.put("ICMP type-#", static_cast<std::uint32_t>(type));
    else
        c.out.put("ICMP ", name);
}

void put_checksum(Context& c, const View& in, const Carrier& ip) noexcept {
    if (!c.verbose() || ip.fragment || in.length < 4 || !in.has(in.length))
        return;
    Checksum sum;
    sum.add(in.data, in.length);
    if (sum.remainder() == 0)
        return;
    c.out.put(" (wrong icmp cksum ");
    c.out.hex(in.u16(2));
    c.out.put(" (->");
    c.out.hex(sum.should_be(in.u16(2)));
    c.out.put(")!)");
}

bool quotes_a_packet(std::uint8_t type) noexcept {
    return type == unreachable || type == source_quench || type == redirect || type == time_exceeded ||
           type == parameter_problem;
}

void put_quoted(Context& c, const View& in) noexcept {
    c.out.put("\n\t");
    View quoted = in.after(8);
    if (!c.need(quoted, 4, "icmp") || ++c.depth > 2)
        return;
    quoted.length = quoted.u16(2); // what is quoted is a part of it
    quoted.captured = std::min(quoted.captured, quoted.length);
    ipv4(c, quoted);
    --c.depth;
}

} // namespace

void icmp(Context& c, View in, const Carrier& ip) noexcept {
    if (!c.need(in, 2, "icmp"))
        return;
    put_message(c, in);
    c.out.put(", length ", in.length);
    put_checksum(c, in, ip);
    if (c.verbose() && quotes_a_packet(in.u8(0)))
        put_quoted(c, in);
}

} // namespace wirepath::decode
