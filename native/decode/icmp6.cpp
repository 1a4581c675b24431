// SPDX-License-Identifier: Apache-2.0
// ICMPv6: errors, echo, neighbor discovery, multicast listeners.
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t {
    unreachable = 1,
    too_big = 2,
    time_exceeded = 3,
    parameter_problem = 4,
    echo_request = 128,
    echo_reply = 129,
    listener_query = 130,
    listener_report = 131,
    listener_done = 132,
    router_solicit = 133,
    router_advert = 134,
    neighbor_solicit = 135,
    neighbor_advert = 136,
    redirect = 137,
    listener_report2 = 143
};

constexpr Name types[] = {
    {unreachable, "destination unreachable"},
    {too_big, "packet too big"},
    {time_exceeded, "time exceeded in-transit"},
    {parameter_problem, "parameter problem"},
    {echo_request, "echo request"},
    {echo_reply, "echo reply"},
    {listener_query, "multicast listener query"},
    {listener_report, "multicast listener report"},
    {listener_done, "multicast listener done"},
    {router_solicit, "router solicitation"},
    {router_advert, "router advertisement"},
    {neighbor_solicit, "neighbor solicitation"},
    {neighbor_advert, "neighbor advertisement"},
    {redirect, "redirect"},
    {138, "router renumbering"},
    {139, "node information query"},
    {140, "node information reply"},
    {141, "inverse neighbor solicitation"},
    {142, "inverse neighbor advertisement"},
    {listener_report2, "multicast listener report v2"},
    {144, "ha discovery request"},
    {145, "ha discovery reply"},
    {146, "mobile router solicitation"},
    {147, "mobile router advertisement"},
    {155, "RPL"},
    {200, "mtrace message"},
    {201, "mtrace response"},
};
constexpr Name unreachable_codes[] = {{0, "unreachable route"},
                                      {1, " unreachable prohibited"},
                                      {2, "beyond scope"},
                                      {3, "unreachable address"},
                                      {4, "unreachable port"}};
constexpr Name router_flags[] = {
    {0x80, "managed"}, {0x40, "other stateful"}, {0x20, "home agent"}, {0x02, "ipv6 only"}};
constexpr Name neighbor_flags[] = {{0x80, "router"}, {0x40, "solicited"}, {0x20, "override"}};
constexpr Name record_types[] = {{1, "is_in"}, {2, "is_ex"}, {3, "to_in"}, {4, "to_ex"}, {5, "allow"}, {6, "block"}};
constexpr std::string_view preferences[] = {"medium", "high", "rsv", "low"};

constexpr std::string_view layer = "icmp6";
constexpr std::uint32_t quoted_source = 8 + 8, quoted_destination = 8 + 24;

void put_ipv6(Context& c, const View& in, std::uint32_t at, std::string_view before) noexcept {
    if (!c.need(in, at, 16, layer))
        return;
    c.out.put(before);
    c.out.ipv6(in.data + at);
}

void put_quoted_port(Context& c, const View& in) noexcept {
    const View quoted = in.after(8);
    if (!c.need(quoted, 44, layer))
        return;
    const std::uint8_t protocol = quoted.u8(6);
    put_ipv6(c, in, quoted_destination, ", ");
    if (protocol == 6 || protocol == 17)
        c.out.put(protocol == 6 ? " tcp port " : " udp port ", quoted.u16(42));
    else
        c.out.put(" protocol ", static_cast<std::uint32_t>(protocol), " port ", quoted.u16(42), " unreachable");
}

void put_unreachable(Context& c, const View& in) noexcept {
    const std::uint8_t code = in.u8(1);
    const std::string_view name = name_of(unreachable_codes, code);
    if (name.empty())
        return c.out.put(", unknown unreach code (", static_cast<std::uint32_t>(code), ')');
    c.out.put(", ", name);
    if (code == 4)
        return put_quoted_port(c, in);
    put_ipv6(c, in, quoted_destination, " ");
    if (code == 2)
        put_ipv6(c, in, quoted_source, ", source address ");
}

void put_time_exceeded(Context& c, const View& in) noexcept {
    const std::uint8_t code = in.u8(1);
    if (code == 0)
        put_ipv6(c, in, quoted_destination, " for ");
    else if (code == 1)
        c.out.put(" (reassembly)");
    else
        c.out.put(", unknown code (", static_cast<std::uint32_t>(code), ')');
}

void put_parameter_problem(Context& c, const View& in) noexcept {
    constexpr std::string_view what[] = {", erroneous - octet ", ", next header - octet ", ", option - octet ",
                                         ", incomplete header chain - octet "};
    const std::uint8_t code = in.u8(1);
    if (!c.need(in, quoted_destination, 16, layer))
        return;
    if (code < std::size(what))
        c.out.put(what[code], in.u32(4));
    else
        c.out.put(", code-#", static_cast<std::uint32_t>(code));
}

void put_listener(Context& c, const View& in) noexcept {
    if (!c.need(in, 24, layer))
        return;
    c.out.put("max resp delay: ", in.u16(4), " addr: ");
    c.out.ipv6(in.data + 8);
}

void put_querier(Context& c, std::uint32_t flags, std::uint32_t interval) noexcept {
    if ((flags & 8) != 0)
        c.out.put(" sflag");
    if ((flags & 7) != 0)
        c.out.put(" robustness=", flags & 7);
    c.out.put(" qqi=", interval < 128 ? interval : ((interval & 15) | 16) << ((interval >> 4 & 7) + 3));
}

void put_sources(Context& c, const View& in, std::uint32_t sources) noexcept {
    if (sources == 0)
        return;
    if (in.length < sources * 16)
        return c.out.put(" [invalid number of sources]");
    if (!c.verbose(2))
        return c.out.put(", ", sources, " source(s)");
    c.out.put(" {");
    for (std::uint32_t i = 0; i < sources && !c.cut; ++i)
        put_ipv6(c, in, 16 * i, " ");
    c.out.put(" }");
}

void put_query(Context& c, const View& in) noexcept {
    if (in.length == 24)
        return put_listener(c, in);
    if (in.length < 28)
        return c.out.put(" unknown-version (len ", in.length, ") ");
    c.out.put(" v2");
    if (!c.need(in, 28, layer))
        return;
    if (c.verbose()) {
        const std::uint32_t code = in.u16(4);
        c.out.put(" [max resp delay=", code < 32768 ? code : ((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3), ']');
    }
    put_ipv6(c, in, 8, " [gaddr ");
    if (c.verbose())
        put_querier(c, in.u8(24), in.u8(25));
    put_sources(c, in.after(28), in.u16(26));
    c.out.put(']');
}

void put_report2(Context& c, const View& in) noexcept {
    if (!c.need(in, 8, layer))
        return;
    const std::uint32_t records = in.u16(6);
    c.out.put(", ", records, " group record(s)");
    if (!c.verbose())
        return;
    std::uint32_t at = 8;
    for (std::uint32_t i = 0; i < records; ++i) {
        if (at + 20 > in.length)
            return c.out.put(" [invalid number of groups]");
        put_ipv6(c, in, at + 4, " [gaddr ");
        if (c.cut)
            return;
        const std::string_view type = name_of(record_types, in.u8(at));
        const std::uint32_t sources = in.u16(at + 2);
        c.out.put(' ', type.empty() ? "?" : type);
        if (at + 20 + sources * 16 > in.length)
            return c.out.put(" [invalid number of sources ", sources, ']');
        if (c.style.verbosity == 1)
            c.out.put(", ", sources, " source(s)");
        else {
            c.out.put(" {");
            for (std::uint32_t s = 0; s < sources && !c.cut; ++s)
                put_ipv6(c, in, at + 20 + 16 * s, " ");
            c.out.put(" }");
        }
        c.out.put(']');
        at += 20 + sources * 16;
    }
}

void put_router_advert(Context& c, const View& in) noexcept {
    if (!c.verbose() || !c.need(in, 16, layer))
        return;
    c.out.put("\n\thop limit ", static_cast<std::uint32_t>(in.u8(4)), ", Flags [");
    put_bits(c.out, router_flags, in.u8(5), ", ", "none");
    c.out.put("], pref ", preferences[in.u8(5) >> 3 & 3], ", router lifetime ", in.u16(6), "s, reachable time ",
              in.u32(8), "ms, retrans timer ", in.u32(12), "ms");
    icmp6_options(c, in.after(16));
}

void put_neighbor(Context& c, const View& in) noexcept {
    const bool solicit = in.u8(0) == neighbor_solicit;
    put_ipv6(c, in, 8, solicit ? ", who has " : ", tgt is ");
    if (!c.verbose() || c.cut)
        return;
    if (!solicit) {
        c.out.put(", Flags [");
        put_bits(c.out, neighbor_flags, in.u8(4), ", ", "none");
        c.out.put(']');
    }
    icmp6_options(c, in.after(24));
}

void put_redirect(Context& c, const View& in) noexcept {
    put_ipv6(c, in, 24, ", ");
    put_ipv6(c, in, 8, " to ");
    if (c.verbose())
        icmp6_options(c, in.after(40));
}

void put_message(Context& c, const View& in) noexcept {
    switch (in.u8(0)) {
    case unreachable:
        return put_unreachable(c, in);
    case too_big:
        if (c.need(in, 8, layer))
            c.out.put(", mtu ", in.u32(4));
        return;
    case time_exceeded:
        return put_time_exceeded(c, in);
    case parameter_problem:
        return put_parameter_problem(c, in);
    case echo_request:
    case echo_reply:
        if (c.need(in, 8, layer))
            c.out.put(", id ", in.u16(4), ", seq ", in.u16(6));
        return;
    case listener_query:
        return put_query(c, in);
    case listener_report:
    case listener_done:
        return put_listener(c, in);
    case listener_report2:
        return put_report2(c, in);
    case router_solicit:
        if (c.verbose())
            icmp6_options(c, in.after(8));
        return;
    case router_advert:
        return put_router_advert(c, in);
    case neighbor_solicit:
    case neighbor_advert:
        return put_neighbor(c, in);
    case redirect:
        return put_redirect(c, in);
    default:
        return;
    }
}

void put_checksum(Context& c, const View& in, const Carrier& ip) noexcept {
    if (!c.verbose() || ip.fragment || in.length < 4 || !in.has(in.length))
        return;
    const Checksum sum = transport_checksum(in, 58, ip);
    if (sum.remainder() == 0)
        return c.out.put("[icmp6 sum ok] ");
    c.out.put("[bad icmp6 cksum 0x");
    c.out.hex(in.u16(2), 4);
    c.out.put(" -> 0x");
    c.out.hex(sum.should_be(in.u16(2)), 4);
    c.out.put("!] ");
}

bool says_length_first(std::uint8_t type) noexcept {
    return (type >= router_solicit && type <= redirect) || type == 145 || type == 147;
}

} // namespace

void icmp6(Context& c, View in, const Carrier& ip) noexcept {
    if (in.length == 0) {
        c.out.put("ICMP6, length 0");
        return c.invalid();
    }
    put_checksum(c, in, ip);
    if (!c.need(in, 1, layer))
        return;
    const std::uint8_t type = in.u8(0);
    const std::string_view name = name_of(types, type);
    c.out.put("ICMP6, ");
    if (name.empty())
        c.out.put("unknown icmp6 type (", static_cast<std::uint32_t>(type), ')');
    else
        c.out.put(name);
    const bool early = c.verbose() && says_length_first(type);
    if (early)
        c.out.put(", length ", in.length);
    if (!c.need(in, 2, layer))
        return;
    put_message(c, in);
    if (!c.verbose() || name.empty())
        c.out.put(", length ", in.length);
}

} // namespace wirepath::decode
