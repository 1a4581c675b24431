// SPDX-License-Identifier: Apache-2.0
// The options of neighbor discovery messages, said under -v.
#include "decode/hexdump.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t {
    source_link = 1,
    target_link = 2,
    prefix_info = 3,
    mtu = 5,
    advert_interval = 7,
    home_agent = 8,
    route_info = 24,
    rdnss = 25,
    dnssl = 31
};

constexpr Name names[] = {
    {source_link, "source link-address"},
    {target_link, "destination link-address"},
    {prefix_info, "prefix info"},
    {4, "redirected header"},
    {mtu, "mtu"},
    {advert_interval, "advertisement interval"},
    {home_agent, "homeagent information"},
    {route_info, "route info"},
    {rdnss, "rdnss"},
    {dnssl, "dnssl"},
};
constexpr Name prefix_flags[] = {{0x80, "onlink"}, {0x40, "auto"}, {0x20, "router"}};
constexpr std::string_view preferences[] = {"medium", "high", "rsv", "low"};

void put_lifetime(Context& c, std::uint32_t seconds) noexcept {
    if (seconds == 0xffffffffu)
        c.out.put("infinity");
    else
        c.out.put(seconds, 's');
}

void put_prefix(Context& c, const View& in) noexcept {
    if (!c.need(in, 32, "icmp6"))
        return;
    c.out.ipv6(in.data + 16);
    c.out.put('/', static_cast<std::uint32_t>(in.u8(2)), in.length != 32 ? "badlen" : "", ", Flags [");
    put_bits(c.out, prefix_flags, in.u8(3), ", ", "none");
    c.out.put("], valid time ");
    put_lifetime(c, in.u32(4));
    c.out.put(", pref. time ");
    put_lifetime(c, in.u32(8));
}

void put_route(Context& c, const View& in) noexcept {
    if (in.length > 24)
        return c.truncated("icmp6");
    std::uint8_t address[16] = {};
    std::copy(in.data + 8, in.data + in.length, address);
    c.out.put(' ');
    c.out.ipv6(address);
    c.out.put('/', static_cast<std::uint32_t>(in.u8(2)), ", pref=", preferences[in.u8(3) >> 3 & 3], ", lifetime=");
    put_lifetime(c, in.u32(4));
}

void put_domains(Context& c, const View& in) noexcept {
    c.out.put(" lifetime ", in.u32(4), "s, domain(s):");
    for (std::uint32_t at = 8; at < in.length && in.u8(at) != 0;) {
        c.out.put(' ');
        for (; at < in.length && in.u8(at) != 0; at += in.u8(at) + 1u) {
            if (!c.need(in, at + 1, in.u8(at), "icmp6"))
                return;
            c.out.visible(in.data + at + 1, in.u8(at));
            c.out.put('.');
        }
        ++at;
    }
}

void put_value(Context& c, std::uint8_t type, const View& in) noexcept {
    switch (type) {
    case source_link:
    case target_link:
        return c.out.mac(in.data + 2, in.length - 2);
    case prefix_info:
        return put_prefix(c, in);
    case mtu:
        return c.out.put(' ', in.u32(4), in.length != 8 ? "bad option length" : "");
    case rdnss:
        c.out.put(" lifetime ", in.u32(4), "s,");
        for (std::uint32_t at = 8; at + 16 <= in.length; at += 16) {
            c.out.put(" addr: ");
            c.out.ipv6(in.data + at);
        }
        return;
    case dnssl:
        return put_domains(c, in);
    case advert_interval:
        return c.out.put(' ', in.u32(4), "ms");
    case home_agent:
        return c.out.put(" preference ", in.u16(4), ", lifetime ", in.u16(6));
    case route_info:
        return put_route(c, in);
    default:
        if (c.style.verbosity <= 1)
            put_hex_lines(c.out, in.data + 2, in.length - 2, "\n\t  ");
    }
}

} // namespace

void icmp6_options(Context& c, View in) noexcept {
    while (in.captured > 0) {
        if (!c.need(in, 2, "icmp6"))
            return;
        const std::uint8_t type = in.u8(0);
        const std::uint32_t bytes = in.u8(1) * 8u;
        if (bytes == 0 || !in.has(bytes))
            return c.truncated("icmp6");
        const std::string_view name = name_of(names, type);
        c.out.put("\n\t  ", name.empty() ? "unknown" : name, " option (", static_cast<std::uint32_t>(type),
                  "), length ", bytes, " (", bytes / 8, "): ");
        put_value(c, type, {in.data, bytes, bytes});
        if (c.verbose(2))
            put_hex_lines(c.out, in.data + 2, bytes - 2, "\n\t    ");
        in = in.after(bytes);
    }
}

} // namespace wirepath::decode
