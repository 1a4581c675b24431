// SPDX-License-Identifier: Apache-2.0
// IPv6 and its extension headers.
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint8_t { hop_by_hop = 0, routing = 43, fragment_header = 44, destination_options = 60, mobility = 135 };
enum : std::uint8_t { pad1 = 0, padn = 1, router_alert = 5, jumbo_payload = 0xc2, home_address = 0xc9 };

class Ipv6 {
  public:
    Ipv6(Context& context, const View& packet) noexcept : c_(context), packet_(packet) {
        carrier_ = {6, packet.u8(6), false, packet};
        payload_bytes_ = packet.u16(4);
    }

    void print() noexcept {
        if (payload_bytes_ != 0 && packet_.length < payload_bytes_ + 40)
            c_.out.put("truncated-ip6 - ", payload_bytes_ + 40 - packet_.length, " bytes missing!");
        if (c_.verbose())
            header();
        View rest = packet_;
        rest.length = payload_bytes_ != 0 ? payload_bytes_ + 40 : packet_.length;
        rest.captured = std::min(rest.captured, rest.length);
        carrier_.header = rest;
        headers(rest.after(40), packet_.u8(6));
    }

  private:
    void header() noexcept {
        const std::uint32_t flow = packet_.u32(0);
        c_.out.put('(');
        if ((flow & 0x0ff00000u) != 0) {
            c_.out.put("class 0x");
            c_.out.hex(flow >> 20 & 0xff, 2);
            c_.out.put(", ");
        }
        if ((flow & 0xfffffu) != 0) {
            c_.out.put("flowlabel 0x");
            c_.out.hex(flow & 0xfffff, 5);
            c_.out.put(", ");
        }
        const std::string_view next = ip_protocol_name(packet_.u8(6));
        c_.out.put("hlim ", static_cast<std::uint32_t>(packet_.u8(7)), ", next-header ",
                   next.empty() ? "unknown" : next, " (", static_cast<std::uint32_t>(packet_.u8(6)),
                   ") payload length: ", payload_bytes_, ") ");
    }

    void headers(View rest, std::uint8_t next) noexcept {
        if (next != 6 && next != 17 && next != 132 && next != 33) {
            put_address_pair(c_, carrier_);
            c_.out.put(": ");
        }
        bool first = true;
        while (is_extension(next)) {
            if (rest.captured == 0 || (next == hop_by_hop && !hop_by_hop_is_first(first)))
                return;
            std::uint32_t bytes = 0;
            if (!extension(rest, next, bytes))
                return;
            next = rest.u8(0);
            if (rest.length < bytes) {
                c_.truncated("ip6");
                return;
            }
            rest = rest.after(bytes);
            first = false;
        }
        if (rest.captured == 0 && !first)
            return;
        if (payload_bytes_ == 0 && !jumbo_) {
            if (!first) {
                c_.truncated("ip6");
                return;
            }
            rest.length = rest.captured = 0;
        }
        ip_payload(c_, next, rest, carrier_);
    }

    static bool is_extension(std::uint8_t next) noexcept {
        return next == hop_by_hop || next == routing || next == fragment_header || next == destination_options;
    }

    bool hop_by_hop_is_first(bool first) noexcept {
        if (!first) {
            c_.out.put("[The Hop-by-Hop Options header don't follow the IPv6 header]");
            c_.invalid();
        }
        return first;
    }

    // False: nothing follows that could be said.
    bool extension(const View& in, std::uint8_t kind, std::uint32_t& bytes) noexcept {
        if (kind == fragment_header)
            return fragment(in, bytes);
        const std::string_view layer = kind == hop_by_hop ? "hbhopt" : kind == routing ? "rt6" : "dstopt";
        if (!c_.need(in, 4, layer))
            return false;
        bytes = (in.u8(1) + 1u) * 8;
        if (kind == routing)
            return route(in);
        if (!c_.need(in, bytes, layer))
            return false;
        c_.out.put(kind == hop_by_hop ? "HBH " : "DSTOPT ");
        if ((kind == hop_by_hop || c_.verbose()) && !options(in.first(bytes).after(2), kind == hop_by_hop)) {
            c_.truncated(layer);
            return false;
        }
        if (payload_bytes_ == 0 && !jumbo_) {
            c_.out.put("[No valid Jumbo Payload Hop-by-Hop option found]");
            c_.invalid();
            return false;
        }
        return true;
    }

    bool fragment(const View& in, std::uint32_t& bytes) noexcept {
        if (!c_.need(in, 8, "frag6"))
            return false;
        bytes = 8;
        const std::uint32_t offset = in.u16(2) & 0xfff8u;
        c_.out.put("frag (");
        if (c_.verbose()) {
            c_.out.put("0x");
            c_.out.hex(in.u32(4), 8);
            c_.out.put(':');
        }
        c_.out.put(offset, '|', in.length - std::min(8u, in.length), ')');
        if (offset != 0 || in.captured <= 8)
            return false;
        c_.out.put(' ');
        carrier_.fragment = true;
        return true;
    }

    bool route(const View& in) noexcept {
        const std::uint8_t type = in.u8(2);
        c_.out.put("RT6 (len=", static_cast<std::uint32_t>(in.u8(1)), ", type=", static_cast<std::uint32_t>(type),
                   type == 0 ? " [Deprecated]" : "", ", segleft=", static_cast<std::uint32_t>(in.u8(3)));
        if (type != 0 && type != 2 && type != 4) {
            c_.out.put(" (unknown type)");
            c_.invalid();
            return false;
        }
        if (!c_.need(in, 8, "rt6"))
            return false;
        if (type == 4) {
            c_.out.put(", last-entry=", static_cast<std::uint32_t>(in.u8(4)));
            flags(", flags=0x", in.u8(5));
            c_.out.put(", tag=");
            c_.out.hex(in.u16(6));
        } else {
            flags(", rsv=0x", in.u32(4));
        }
        if (in.u8(1) % 2 != 0) {
            c_.out.put(" (invalid length ", static_cast<std::uint32_t>(in.u8(1)), ')');
            c_.invalid();
            return false;
        }
        const std::uint32_t addresses = in.u8(1) / 2u;
        for (std::uint32_t i = 0; i < addresses; ++i) {
            if (!c_.need(in, 8 + 16 * i, 16, "rt6"))
                return false;
            c_.out.put(", [", i, ']');
            c_.out.ipv6(in.data + 8 + 16 * i);
        }
        if (addresses > 0) // segment routing lists them from the last one on
            carrier_.final_destination = in.data + 8 + (type == 4 ? 0 : 16 * (addresses - 1));
        c_.out.put(") ");
        return true;
    }

    void flags(std::string_view name, std::uint32_t value) noexcept {
        if (value == 0 && !c_.verbose())
            return;
        c_.out.put(name);
        c_.out.hex(value);
    }

    // False: they end too early.
    bool options(View in, bool may_be_jumbo) noexcept {
        while (in.length > 0) {
            const std::uint8_t type = in.u8(0);
            if (type != pad1 && in.length < 2)
                return false;
            const std::uint32_t bytes = type == pad1 ? 1 : in.u8(1) + 2u;
            if (bytes > in.length)
                return false;
            if (type == jumbo_payload && bytes == 6)
                jumbo(in.u32(2), may_be_jumbo);
            else if (c_.verbose())
                option(type, in.first(bytes));
            in = in.after(bytes);
        }
        if (c_.verbose())
            c_.out.put(' ');
        return true;
    }

    void jumbo(std::uint32_t bytes, bool valid_here) noexcept {
        const bool valid = valid_here && payload_bytes_ == 0 && bytes >= 65536;
        if (c_.verbose())
            c_.out.put("(jumbo: ", bytes,
                       valid                 ? ") "
                       : !valid_here         ? " - not a hop-by-hop option) "
                       : payload_bytes_ != 0 ? " - payload len != 0) "
                                             : " - < 65536) ");
        jumbo_ = jumbo_ || valid;
    }

    void option(std::uint8_t type, const View& in) noexcept {
        if (type == pad1)
            c_.out.put("(pad1)");
        else if (type == padn)
            c_.out.put("(padn)");
        else if (type == router_alert && in.length == 4) {
            c_.out.put("(rtalert: 0x");
            c_.out.hex(in.u16(2), 4);
            c_.out.put(") ");
        } else if (type == home_address && in.length >= 18) {
            c_.out.put("(homeaddr: ");
            c_.out.ipv6(in.data + 2);
            c_.out.put(')');
        } else {
            c_.out.put("(opt_type 0x");
            c_.out.hex(type, 2);
            c_.out.put(": len=", in.length - 2, ')');
        }
    }

    Context& c_;
    View packet_;
    Carrier carrier_;
    std::uint32_t payload_bytes_;
    bool jumbo_ = false;
};

} // namespace

void ipv6(Context& c, View packet) noexcept {
    if (!c.need(packet, 40, "ip6"))
        return;
    if (packet.length < 40) {
        c.out.put("truncated-ip6 ", packet.length);
        return;
    }
    if (!c.style.link_header)
        c.out.put("IP6 ");
    if (packet.u8(0) >> 4 != 6) {
        c.out.put("version error: ", static_cast<std::uint32_t>(packet.u8(0) >> 4), " != 6");
        return;
    }
    Ipv6(c, packet).print();
}

} // namespace wirepath::decode
