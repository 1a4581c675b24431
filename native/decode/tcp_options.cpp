// SPDX-License-Identifier: Apache-2.0
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t {
    end_of_options = 0,
    no_operation = 1,
    mss = 2,
    window_scale = 3,
    sack_permitted = 4,
    sack = 5,
    echo = 6,
    echo_reply = 7,
    timestamps = 8,
    cc = 11,
    cc_new = 12,
    cc_echo = 13,
    md5 = 19,
    user_timeout = 28,
    tcp_ao = 29,
    multipath = 30,
    fast_open = 34,
    experiment = 254
};

constexpr Name names[] = {
    {no_operation, "nop"},
    {timestamps, "TS"},
    {sack, "sack"},
    {mss, "mss"},
    {sack_permitted, "sackOK"},
    {window_scale, "wscale"},
    {end_of_options, "eol"},
    {echo, "echo"},
    {echo_reply, "echoreply"},
    {cc, "cc"},
    {cc_new, "ccnew"},
    {cc_echo, ""},
    {md5, "md5"},
    {20, "scps"},
    {user_timeout, "uto"},
    {tcp_ao, "tcp-ao"},
    {multipath, "mptcp"},
    {fast_open, "tfo"},
    {experiment, "exp"},
};

bool is_single(std::uint8_t kind) noexcept { return kind == end_of_options || kind == no_operation; }

void put_sack(Context& c, const View& value, std::uint32_t origin) noexcept {
    if (value.length % 8 != 0) {
        c.out.put(" invalid sack");
        return;
    }
    c.out.put(' ', value.length / 8, ' ');
    for (std::uint32_t at = 0; at < value.length; at += 8)
        c.out.put('{', value.u32(at) - origin, ':', value.u32(at + 4) - origin, '}');
}

void put_fast_open(Context& c, const View& value) noexcept {
    if (value.length == 0) {
        c.out.put("cookiereq");
    } else if (value.length % 2 != 0 || value.length < 4 || value.length > 16) {
        c.invalid();
    } else {
        c.out.put("cookie ");
        c.out.hex_bytes(value.data, value.length);
    }
}

void put_hex(Context& c, const View& value) noexcept {
    if (value.length > 0)
        c.out.put(" 0x");
    c.out.hex_bytes(value.data, value.length);
}

void put_authentication(Context& c, const View& value) noexcept {
    if (value.length < 2) {
        c.invalid();
        return;
    }
    c.out.put(" keyid ", static_cast<std::uint32_t>(value.u8(0)), " rnextkeyid ",
              static_cast<std::uint32_t>(value.u8(1)));
    if (value.length > 2) {
        c.out.put(" mac 0x");
        c.out.hex_bytes(value.data + 2, value.length - 2);
    }
}

void put_user_timeout(Context& c, std::uint32_t value) noexcept {
    c.out.put(" 0x");
    c.out.hex(value);
    c.out.put(' ', (value & 1) != 0 ? (value >> 1) * 60 : value >> 1);
}

struct Said {
    bool ok;             // false: shorter than its kind needs
    std::uint32_t bytes; // of the value that were said
};

Said put_value(Context& c, std::uint8_t kind, const View& value, TcpOrigin origin) noexcept {
    const auto fixed = [&](std::uint32_t bytes, auto&& print) {
        if (value.length < bytes)
            return Said{false, 0};
        print();
        return Said{true, bytes};
    };
    switch (kind) {
    case timestamps:
        return fixed(8, [&] { c.out.put(" val ", value.u32(0), " ecr ", value.u32(4)); });
    case mss:
        return fixed(2, [&] { c.out.put(" ", value.u16(0)); });
    case window_scale:
        return fixed(1, [&] { c.out.put(" ", static_cast<std::uint32_t>(value.u8(0))); });
    case sack_permitted:
        return {true, 0};
    case echo:
    case echo_reply:
    case cc:
    case cc_new:
    case cc_echo:
        return fixed(4, [&] { c.out.put(" ", value.u32(0)); });
    case user_timeout:
        return fixed(2, [&] { put_user_timeout(c, value.u16(0)); });
    case md5:
        return fixed(16, [&] { c.out.put(" can't check - "), c.out.hex_bytes(value.data, 16); });
    case sack:
        put_sack(c, value, origin.sack);
        break;
    case tcp_ao:
        put_authentication(c, value);
        break;
    case fast_open:
        c.out.put(' ');
        put_fast_open(c, value);
        break;
    case experiment:
        if (value.length < 2)
            return {false, 0};
        c.out.put('-');
        if (value.u16(0) == 0xf989)
            put_fast_open(c, value.after(2));
        else
            c.out.hex(value.u16(0), 4);
        break;
    default:
        put_hex(c, value);
        break;
    }
    return {true, value.length};
}

void put_kind(Context& c, std::uint8_t kind) noexcept {
    for (const Name& row : names)
        if (row.value == kind)
            return c.out.put(row.name);
    c.out.put("unknown-", static_cast<std::uint32_t>(kind));
}

bool bad_option(Context& c) noexcept {
    c.out.put("[bad opt]");
    return false;
}

} // namespace

bool tcp_options(Context& c, View in, TcpOrigin origin) noexcept {
    c.out.put(", options [");
    for (bool first = true; in.length > 0; first = false) {
        if (!first)
            c.out.put(',');
        if (!c.need(in, 1, "tcp"))
            return true;
        const std::uint8_t kind = in.u8(0);
        if (!is_single(kind) && in.length > 1 && !c.need(in, 2, "tcp"))
            return true;
        const std::uint32_t bytes = is_single(kind) ? 1 : in.length > 1 ? in.u8(1) : 0;
        if (bytes == 0 || (!is_single(kind) && bytes < 2) || bytes > in.length)
            return bad_option(c);
        put_kind(c, kind);
        if (!c.need(in, bytes, "tcp"))
            return true;
        if (!is_single(kind)) {
            const Said said = put_value(c, kind, in.first(bytes).after(2), origin);
            if (!said.ok)
                return bad_option(c);
            if (said.bytes + 2 != bytes)
                c.out.put("[len ", bytes, ']');
        }
        in = in.after(bytes);
        if (kind == end_of_options)
            break;
    }
    c.out.put(']');
    return true;
}

} // namespace wirepath::decode
