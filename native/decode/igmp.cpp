// SPDX-License-Identifier: Apache-2.0
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t { query = 0x11, report1 = 0x12, report2 = 0x16, leave = 0x17, report3 = 0x22 };

constexpr Name record_types[] = {{1, "is_in"}, {2, "is_ex"}, {3, "to_in"}, {4, "to_ex"}, {5, "allow"}, {6, "block"}};

void put_ipv4(Context& c, const View& in, std::uint32_t at, std::string_view before) noexcept {
    if (!c.need(in, at, 4, "igmp"))
        return;
    c.out.put(before);
    c.out.ipv4(in.data + at);
}

void put_sources(Context& c, const View& in, std::uint32_t at, std::uint32_t sources) noexcept {
    if (!c.verbose(2))
        return c.out.put(", ", sources, " source(s)");
    c.out.put(" {");
    for (std::uint32_t i = 0; i < sources && !c.cut; ++i)
        put_ipv4(c, in, at + 4 * i, " ");
    c.out.put(" }");
}

void put_query3(Context& c, const View& in) noexcept {
    c.out.put(" v3");
    if (in.length % 4 != 0)
        return c.out.put(" [invalid len ", in.length, ']');
    if (!c.need(in, 12, "igmp"))
        return;
    const std::uint32_t code = in.u8(1);
    const std::uint32_t tenths = code < 128 ? code : ((code & 15) | 16) << ((code >> 4 & 7) + 3);
    if (code != 100)
        c.out.put(" [max resp time ", tenths / 10, '.', tenths % 10, "s]");
    if (in.u32(4) == 0)
        return;
    put_ipv4(c, in, 4, " [gaddr ");
    const std::uint32_t sources = in.u16(10);
    if (sources > 0 && in.length < 12 + 4 * sources)
        c.out.put(" [invalid number of sources]");
    else if (sources > 0)
        put_sources(c, in, 12, sources);
    c.out.put(']');
}

void put_query(Context& c, const View& in) noexcept {
    c.out.put("igmp query");
    if (in.length >= 12)
        return put_query3(c, in);
    if (!c.need(in, 8, "igmp"))
        return;
    const std::uint32_t time = in.u8(1);
    c.out.put(time != 0 ? " v2" : " v1");
    if (time != 0 && time != 100)
        c.out.put(" [max resp time ", time, ']');
    if (in.u32(4) != 0) {
        put_ipv4(c, in, 4, " [gaddr ");
        c.out.put(']');
    }
    if (in.length != 8)
        c.out.put(" [len ", in.length, ']');
}

void put_report3(Context& c, const View& in) noexcept {
    c.out.put("igmp v3 report");
    if (in.length < 16 || in.length % 4 != 0)
        return c.out.put(" [invalid len ", in.length, ']');
    if (!c.need(in, 8, "igmp"))
        return;
    const std::uint32_t records = in.u16(6);
    c.out.put(", ", records, " group record(s)");
    std::uint32_t at = 8;
    for (std::uint32_t i = 0; i < records && c.verbose(); ++i) {
        if (in.length < at + 8)
            return c.out.put(" [invalid number of groups]");
        put_ipv4(c, in, at + 4, " [gaddr ");
        if (c.cut)
            return;
        const std::string_view type = name_of(record_types, in.u8(at));
        const std::uint32_t sources = in.u16(at + 2);
        if (type.empty())
            c.out.put("  [v3-report-#", static_cast<std::uint32_t>(in.u8(at)), ']');
        else
            c.out.put(' ', type);
        if (in.length < at + 8 + 4 * sources)
            return c.out.put(" [invalid number of sources ", sources, ']');
        put_sources(c, in, at + 8, sources);
        c.out.put(']');
        at += 8 + 4 * sources;
    }
}

void put_message(Context& c, const View& in) noexcept {
    switch (in.u8(0)) {
    case query:
        return put_query(c, in);
    case report1:
        put_ipv4(c, in, 4, "igmp v1 report ");
        if (in.length != 8)
            c.out.put(" [len ", in.length, ']');
        return;
    case report2:
        return put_ipv4(c, in, 4, "igmp v2 report ");
    case leave:
        return put_ipv4(c, in, 4, "igmp leave ");
    case report3:
        return put_report3(c, in);
    default:
        return c.out.put("igmp-", static_cast<std::uint32_t>(in.u8(0)));
    }
}

} // namespace

void igmp(Context& c, View in) noexcept {
    if (c.style.quiet)
        return c.out.put("igmp");
    if (!c.need(in, 1, "igmp"))
        return;
    put_message(c, in);
    if (!c.verbose() || in.length < 4 || !in.has(in.length))
        return;
    Checksum sum;
    sum.add(in.data, in.length);
    if (sum.remainder() != 0) {
        c.out.put(" bad igmp cksum ");
        c.out.hex(in.u16(2));
        c.out.put('!');
    }
}

} // namespace wirepath::decode
