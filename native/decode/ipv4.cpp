// SPDX-License-Identifier: Apache-2.0
#include "decode/checksum.hpp"
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t {
    end_of_options = 0,
    no_operation = 1,
    record_route = 7,
    timestamp = 68,
    loose_route = 131,
    strict_route = 137,
    router_alert = 148
};

constexpr Name option_names[] = {{end_of_options, "EOL"}, {no_operation, "NOP"}, {timestamp, "timestamp"},
                                 {130, "security"},       {record_route, "RR"},  {strict_route, "SSRR"},
                                 {loose_route, "LSRR"},   {router_alert, "RA"},  {82, "traceroute"}};
constexpr Name fragment_flags[] = {{0x2000, "+"}, {0x4000, "DF"}, {0x8000, "rsvd"}};
constexpr std::string_view ecn[] = {"", ",ECT(1)", ",ECT(0)", ",CE"};

void put_route(Context& c, const View& option) noexcept {
    if (option.length < 3 || (option.length + 1) % 4 != 0)
        c.out.put(" [bad length ", option.length, ']');
    if (option.length < 3)
        return;
    const std::uint32_t pointer = option.u8(2) - 1u;
    if (pointer < 3 || (pointer + 1) % 4 != 0 || pointer > option.length + 1)
        c.out.put(" [bad ptr ", static_cast<std::uint32_t>(option.u8(2)), ']');
    for (std::uint32_t at = 3; at < option.length && option.has(at, 4); at += 4) {
        c.out.put(' ');
        c.out.ipv4(option.data + at);
        if (pointer > at)
            c.out.put(',');
    }
}

void put_timestamps(Context& c, const View& option) noexcept {
    if (option.length < 4) {
        c.out.put("[bad length ", option.length, ']');
        return;
    }
    constexpr Name kinds[] = {{0, "TSONLY"}, {1, "TS+ADDR"}, {3, "PRESPEC"}};
    const std::uint32_t kind = option.u8(3) & 15u, pointer = option.u8(2) - 1u;
    const std::uint32_t hop = kind == 0 ? 4 : 8;
    c.out.put(" TS{", name_of(kinds, kind));
    for (std::uint32_t at = 4; at < option.length && option.has(at, hop); at += hop) {
        c.out.put(pointer == at ? " ^ " : " ", option.u32(at + hop - 4), '@');
        if (hop == 8)
            c.out.ipv4(option.data + at);
    }
    if (pointer == option.length)
        c.out.put(" ^ ");
    if (option.u8(3) >> 4 != 0)
        c.out.put(" [", static_cast<std::uint32_t>(option.u8(3) >> 4), " hops not recorded]} ");
    else
        c.out.put('}');
}

void put_option(Context& c, std::uint8_t code, const View& option) noexcept {
    if (code == timestamp)
        put_timestamps(c, option);
    else if (code == record_route || code == loose_route || code == strict_route)
        put_route(c, option);
    else if (code == router_alert && option.length >= 4 && option.u16(2) != 0)
        c.out.put(" value ", option.u16(2));
}

void put_options(Context& c, View options) noexcept {
    for (bool first = true; options.length > 0; first = false) {
        if (!first)
            c.out.put(',');
        if (!options.has(1)) {
            c.out.put(" [truncated-option]");
            return;
        }
        const std::uint8_t code = options.u8(0);
        const std::string_view name = name_of(option_names, code);
        if (name.empty())
            c.out.put("unknown ", static_cast<std::uint32_t>(code));
        else
            c.out.put(name);
        if (code == end_of_options)
            return;
        const bool single = code == no_operation;
        if (!single && !options.has(2))
            return;
        const std::uint32_t length = single ? 1 : options.u8(1);
        if ((!single && length < 2) || length > options.length) {
            c.out.put(" [bad length ", length, ']');
            return;
        }
        if (!options.has(length)) {
            c.out.put(" [truncated-option]");
            return;
        }
        put_option(c, code, options.first(length));
        options = options.after(length);
    }
}

// The last address of a source route; nullptr: there is none.
const std::uint8_t* end_of_source_route(View options) noexcept {
    while (options.has(2) && options.u8(0) != end_of_options) {
        const std::uint32_t length = options.u8(0) == no_operation ? 1 : options.u8(1);
        if (length == 0 || !options.has(length))
            return nullptr;
        if ((options.u8(0) == loose_route || options.u8(0) == strict_route) && length >= 7)
            return options.data + length - 4;
        options = options.after(length);
    }
    return nullptr;
}

void put_header(Context& c, const View& packet, std::uint32_t header_bytes) noexcept {
    const std::uint8_t tos = packet.u8(1), ttl = packet.u8(8), protocol = packet.u8(9);
    const std::uint16_t fragment = packet.u16(6);
    c.out.put("(tos 0x");
    c.out.hex(tos);
    c.out.put(ecn[tos & 3]);
    if (ttl != 0)
        c.out.put(", ttl ", static_cast<std::uint32_t>(ttl));
    c.out.put(", id ", packet.u16(4), ", offset ", (fragment & 0x1fffu) * 8, ", flags [");
    put_bits(c.out, fragment_flags, fragment, ", ", "none");
    const std::string_view name = ip_protocol_name(protocol);
    c.out.put("], proto ", name.empty() ? "unknown" : name, " (", static_cast<std::uint32_t>(protocol), "), length ",
              packet.u16(2));
    if (header_bytes > 20) {
        c.out.put(", options (");
        put_options(c, packet.first(header_bytes).after(20));
        c.out.put(')');
    }
    if (!c.style.no_checksums && packet.has(header_bytes)) {
        Checksum sum;
        sum.add(packet.data, header_bytes);
        if (sum.remainder() != 0) {
            c.out.put(", bad cksum ");
            c.out.hex(packet.u16(10));
            c.out.put(" (->");
            c.out.hex(sum.should_be(packet.u16(10)));
            c.out.put(")!");
        }
    }
    c.out.put(")\n    ");
}

void put_later_fragment(Context& c, const View& packet) noexcept {
    c.out.ipv4(packet.data + 12);
    c.out.put(" > ");
    c.out.ipv4(packet.data + 16);
    c.out.put(": ip-proto-", static_cast<std::uint32_t>(packet.u8(9)));
}

bool has_ports(std::uint8_t protocol) noexcept {
    return protocol == 6 || protocol == 17 || protocol == 132 || protocol == 33;
}

// What is wrong with the lengths; false: nothing more can be said.
bool check_lengths(Context& c, const View& packet, std::uint32_t header_bytes, std::uint32_t& total) noexcept {
    if (packet.length < 20) {
        c.out.put("truncated-ip ", packet.length);
        return false;
    }
    if (header_bytes < 20) {
        c.out.put("bad-hlen ", header_bytes);
        return false;
    }
    total = packet.u16(2);
    if (packet.length < total)
        c.out.put("truncated-ip - ", total - packet.length, " bytes missing! ");
    if (total != 0 && total < header_bytes) {
        c.out.put("bad-len ", total);
        return false;
    }
    if (total == 0) // left to the NIC, which segments it
        total = packet.length;
    return true;
}

} // namespace

void ipv4(Context& c, View packet) noexcept {
    if (!c.need(packet, 1, "ip"))
        return;
    const std::uint32_t version = packet.u8(0) >> 4;
    if (version != 4) {
        if (version == 6)
            c.out.put("IP6, wrong link-layer encapsulation");
        else
            c.out.put("IP", version);
        c.invalid();
        return;
    }
    if (!c.style.link_header)
        c.out.put("IP ");
    std::uint32_t total = 0;
    const std::uint32_t header_bytes = (packet.u8(0) & 15u) * 4;
    if (!c.need(packet, 20, "ip") || !check_lengths(c, packet, header_bytes, total))
        return;
    packet = packet.first(total);
    if (c.verbose())
        put_header(c, packet, header_bytes);
    const std::uint16_t fragment = packet.u16(6);
    if (c.verbose() && !packet.has(header_bytes)) { // its options said so already
        put_address_pair(c, {4, 0, false, packet});
        c.out.put(": ");
        return c.truncated("ip");
    }
    if ((fragment & 0x1fff) != 0) {
        put_later_fragment(c, packet);
        return;
    }
    const Carrier ip{4, packet.u8(9), (fragment & 0x2000) != 0, packet,
                     end_of_source_route(packet.first(header_bytes).after(20))};
    if (!has_ports(ip.protocol)) {
        put_address_pair(c, ip);
        c.out.put(": ");
    }
    if (!packet.has(header_bytes)) {
        c.out.put(" [remaining caplen(", packet.captured, ") < header length(", header_bytes, ")]");
        c.truncated("ip");
        return;
    }
    View payload = packet.after(header_bytes);
    payload.length = total - header_bytes;
    ip_payload(c, ip.protocol, payload, ip);
}

} // namespace wirepath::decode
