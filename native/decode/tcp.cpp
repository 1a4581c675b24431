// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t { fin = 1, syn = 2, rst = 4, ack_flag = 16, urg = 32 };

struct Numbers {
    std::uint32_t seq, ack, sack_origin;
};

void put_flags(Context& c, std::uint8_t flags) noexcept {
    constexpr char letters[] = {'F', 'S', 'R', 'P', '.', 'U', 'E', 'W'};
    c.out.put("Flags [");
    if (flags == 0)
        c.out.put("none");
    for (unsigned bit = 0; bit < 8; ++bit)
        if ((flags >> bit & 1) != 0)
            c.out.put(letters[bit]);
    c.out.put(']');
}

// Makes the numbers relative to those at which the conversation began. One entry serves both directions, kept in the
// view of the endpoint that sorts first.
void make_relative(Context& c, const Carrier& ip, const View& in, Numbers& numbers) noexcept {
    const std::uint32_t address_bytes = ip.version == 4 ? 4 : 16;
    const std::uint8_t* source = ip.header.data + (ip.version == 4 ? 12 : 8);
    const std::uint8_t* destination = source + address_bytes;
    std::uint32_t from = in.u16(0), to = in.u16(2);
    const bool reversed = from > to || (from == to && std::memcmp(source, destination, address_bytes) > 0);
    if (reversed) {
        std::swap(source, destination);
        std::swap(from, to);
    }
    bool known = false;
    auto& start = c.conversations.find(conversation_key(source, destination, address_bytes, from << 16 | to), known);
    if (!known || (in.u8(13) & syn) != 0) {
        start.seq = reversed ? numbers.ack - 1 : numbers.seq;
        start.ack = reversed ? numbers.seq : numbers.ack - 1;
    } else {
        numbers.seq -= reversed ? start.ack : start.seq;
        numbers.ack -= reversed ? start.seq : start.ack;
    }
    numbers.sack_origin = reversed ? start.seq : start.ack;
}

void put_checksum(Context& c, const View& in, const Carrier& ip) noexcept {
    if (!c.verbose() || c.style.no_checksums || ip.fragment || !in.has(in.length))
        return;
    const Checksum sum = transport_checksum(in, 6, ip);
    c.out.put(", cksum 0x");
    c.out.hex(in.u16(16), 4);
    if (sum.remainder() == 0) {
        c.out.put(" (correct)");
        return;
    }
    c.out.put(" (incorrect -> 0x");
    c.out.hex(sum.should_be(in.u16(16)), 4);
    c.out.put(')');
}

void put_too_long(Context& c, std::uint32_t header, std::uint32_t length) noexcept {
    c.out.put(" [bad hdr length ", header, " - too long, > ", length, ']');
}

void put_reset_text(Context& c, const View& payload) noexcept {
    const std::uint32_t shown = std::min(payload.length, 30u);
    c.out.put(payload.has(payload.length) ? " [RST" : " [!RST", payload.length > shown ? "+ " : " ");
    c.out.visible(payload.data, std::min(shown, payload.captured));
    c.out.put(']');
}

void payload_of(Context& c, const View& in, std::uint32_t header) noexcept {
    if (!in.has(header)) {
        c.out.put(" [remaining caplen(", in.captured, ") < header length(", header, ")]");
        c.truncated("tcp");
        return;
    }
    const View payload = in.after(header);
    if ((in.u8(13) & rst) != 0 && c.verbose())
        put_reset_text(c, payload);
    else if (in.u16(0) == 53 || in.u16(2) == 53)
        dns(c, payload, DnsOver::tcp);
}

void put_numbers(Context& c, const View& in, const Numbers& numbers, std::uint32_t data_bytes) noexcept {
    const std::uint8_t flags = in.u8(13);
    if (c.verbose(2) || data_bytes > 0 || (flags & (syn | fin | rst)) != 0) {
        c.out.put(", seq ", numbers.seq);
        if (data_bytes > 0)
            c.out.put(":", numbers.seq + data_bytes);
    }
    if ((flags & ack_flag) != 0)
        c.out.put(", ack ", numbers.ack);
    c.out.put(", win ", in.u16(14));
    if ((flags & urg) != 0)
        c.out.put(", urg ", in.u16(18));
}

} // namespace

void tcp(Context& c, View in, const Carrier& ip) noexcept {
    if (!in.has(4)) {
        put_address_pair(c, ip);
        c.out.put(':');
        c.truncated("tcp");
        return;
    }
    put_port_pair(c, ip, in.u16(0), in.u16(2));
    if (!c.need(in, 20, "tcp"))
        return;
    const std::uint32_t header = (in.u8(12) >> 4) * 4u;
    if (header < 20) {
        c.out.put(" tcp ", in.length - header, " [bad hdr length ", header, " - too short, < 20]");
        return;
    }
    if (c.style.quiet) {
        c.out.put("tcp ", in.length - header);
        if (header > in.length)
            put_too_long(c, header, in.length);
        return;
    }
    put_flags(c, in.u8(13));
    Numbers numbers{in.u32(4), in.u32(8), 0};
    if (!c.style.absolute_seq && (in.u8(13) & ack_flag) != 0)
        make_relative(c, ip, in, numbers);
    if (header > in.length) {
        put_too_long(c, header, in.length);
        return;
    }
    put_checksum(c, in, ip);
    const std::uint32_t data_bytes = in.length - header;
    put_numbers(c, in, numbers, data_bytes);
    if (header > 20) {
        View options = in.after(20);
        options.length = header - 20;
        options.captured = std::min(options.captured, options.length);
        if (!tcp_options(c, options, {numbers.sack_origin}))
            return;
    }
    c.out.put(", length ", data_bytes);
    if (data_bytes > 0)
        payload_of(c, in, header);
}

} // namespace wirepath::decode
