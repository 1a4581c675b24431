// SPDX-License-Identifier: Apache-2.0
// IEEE 802.2 LLC, SNAP, and the spanning tree protocol's frames.
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr Name service_points[] = {
    {0x00, "Null"},    {0x02, "802.1B I"}, {0x03, "802.1B G"},  {0x06, "IP"},   {0x0e, "ProWay NM"},
    {0x42, "STP"},     {0x7e, "ISO8208"},  {0x8e, "ProWay NM"}, {0xaa, "SNAP"}, {0xe0, "IPX"},
    {0xf0, "NetBeui"}, {0xfe, "ISO NS"},   {0xff, "Global"},
};
constexpr Name commands[] = {{0x03, "ui"},   {0xe3, "test"}, {0xaf, "xid"},   {0x63, "ua"},
                             {0x43, "disc"}, {0x0f, "dm"},   {0x6f, "sabme"}, {0x87, "frmr"}};
constexpr Name supervisory[] = {{0, "Receiver Ready"}, {1, "Receiver not Ready"}, {2, "Reject"}};
constexpr Name bpdu_flags[] = {{0x01, "Topology change"}, {0x02, "Proposal"},  {0x10, "Learn"},
                               {0x20, "Forward"},         {0x40, "Agreement"}, {0x80, "Topology change ACK"}};
constexpr Name stp_versions[] = {{0, "802.1d"}, {2, "802.1w"}, {3, "802.1s"}, {4, "802.1aq"}};
constexpr Name bpdu_types[] = {{0x00, "Config"}, {0x02, "Rapid STP"}, {0x80, "Topology Change"}};

void put_or_hex(Context& c, std::string_view name, std::string_view unknown, std::uint32_t value) noexcept {
    if (!name.empty()) {
        c.out.put(name);
        return;
    }
    c.out.put(unknown);
    c.out.hex(value, 2);
}

std::string_view or_unknown(std::string_view name) noexcept { return name.empty() ? "Unknown" : name; }

void put_poll_flag(Context& c, bool response, bool poll) noexcept {
    c.out.put(poll ? (response ? "Final" : "Poll") : (response ? "Response" : "Command"));
}

void put_service_points(Context& c, std::uint8_t dsap, std::uint8_t ssap) noexcept {
    c.out.put("LLC, dsap ", or_unknown(name_of(service_points, dsap & 0xfeu)), " (0x");
    c.out.hex(dsap & 0xfeu, 2);
    c.out.put(") ", (dsap & 1) ? "Group" : "Individual", ", ssap ");
    c.out.put(or_unknown(name_of(service_points, ssap & 0xfeu)), " (0x");
    c.out.hex(ssap & 0xfeu, 2);
    c.out.put(") ", (ssap & 1) ? "Response" : "Command");
}

void put_control(Context& c, std::uint32_t control, unsigned digits) noexcept {
    c.out.put(", ctrl 0x");
    c.out.hex(control, digits);
    c.out.put(": ");
}

void put_hundredths(Context& c, std::uint32_t in_256ths) noexcept {
    const std::uint32_t hundredths = (in_256ths * 100 + 128) / 256;
    c.out.decimal(hundredths / 100);
    c.out.put('.');
    c.out.decimal(hundredths % 100, 2, '0');
}

void put_bridge(Context& c, const View& in, std::uint32_t at) noexcept {
    c.out.hex(in.u16(at), 4);
    c.out.put('.');
    c.out.mac(in.data + at + 2);
}

void stp_timers(Context& c, const View& in, std::uint8_t version) noexcept {
    constexpr Name roles[] = {{0, "Unknown"}, {1, "Alternate"}, {2, "Root"}, {3, "Designated"}};
    constexpr std::string_view names[] = {"\n\tmessage-age ", "s, max-age ", "s, hello-time ", "s, forwarding-delay "};
    for (std::uint32_t i = 0; i < 4; ++i) {
        c.out.put(names[i]);
        put_hundredths(c, in.u16(27 + 2 * i));
    }
    c.out.put("s\n\troot-id ");
    put_bridge(c, in, 5);
    c.out.put(", root-pathcost ", in.u32(13));
    if (version == 2)
        c.out.put(", port-role ", name_of(roles, in.u8(4) >> 2 & 3u));
}

void put_bpdu(Context& c, const View& in, std::uint8_t version) noexcept {
    if (!c.need(in, 5, "stp"))
        return;
    c.out.put(version >= 3 ? ", CIST Flags [" : ", Flags [");
    put_bits(c.out, bpdu_flags, in.u8(4), ", ", "none");
    c.out.put(']');
    if (version < 3) {
        if (!c.need(in, 27, "stp"))
            return;
        c.out.put(", bridge-id ");
        put_bridge(c, in, 17);
        c.out.put('.');
        c.out.hex(in.u16(25), 4);
    }
    c.out.put(", length ", in.length);
    if (c.verbose() && version < 3 && c.need(in, 35, "stp"))
        stp_timers(c, in, version);
}

void stp(Context& c, View in) noexcept {
    if (!c.need(in, 3, "stp"))
        return;
    const std::uint8_t version = in.u8(2);
    c.out.put("STP ");
    put_or_hex(c, name_of(stp_versions, version), "Unknown STP protocol (0x", version);
    if (!c.need(in, 4, "stp"))
        return;
    const std::uint8_t type = in.u8(3);
    c.out.put(", ");
    put_or_hex(c, name_of(bpdu_types, type), "Unknown BPDU Type (0x", type);
    if (type == 0x80 || name_of(bpdu_types, type).empty())
        c.out.put(", length ", in.length);
    else if (in.length < (type == 0 ? 35u : 36u))
        c.invalid();
    else
        put_bpdu(c, in, version);
}

bool snap(Context& c, View in) noexcept {
    if (!c.need(in, 5, "snap"))
        return true;
    const std::uint32_t oui = in.u32(0) >> 8;
    const std::uint16_t type = in.u16(3);
    const View payload = in.after(5);
    if (c.style.link_header) {
        const bool ether = oui == 0;
        c.out.put("oui ", ether ? "Ethernet" : oui == 0xc ? "Cisco" : oui == 0x80c2 ? "RFC2684" : "Unknown", " (0x");
        c.out.hex(oui, 6);
        c.out.put("), ", ether ? "ethertype " : "pid ");
        c.out.put(or_unknown(ether ? ethertype_name(type) : std::string_view()), " (0x");
        c.out.hex(type, 4);
        c.out.put("), length ", payload.length, ": ");
    }
    if (oui == 0xc && (type == 0x010b || type == 0x010c)) { // Cisco's spanning tree for each VLAN
        stp(c, payload);
        return true;
    }
    return (oui == 0 || oui == 0xf8) && ethertype_payload(c, type, payload);
}

void put_ends(Context& c, const View& frame, std::uint8_t dsap, std::uint8_t ssap) noexcept {
    const bool addresses = frame.has(12);
    if (addresses)
        c.out.mac(frame.data + 6);
    if (ssap != dsap) {
        c.out.put(addresses ? " " : "");
        put_or_hex(c, name_of(service_points, ssap), "Unknown SSAP 0x", ssap);
    }
    if (addresses || ssap != dsap)
        c.out.put(" > ");
    if (addresses) {
        c.out.mac(frame.data);
        c.out.put(' ');
    }
    put_or_hex(c, name_of(service_points, dsap), "Unknown DSAP 0x", dsap);
    c.out.put(' ');
}

void put_unnumbered(Context& c, std::uint32_t control, bool response, std::uint32_t length) noexcept {
    c.out.put("Unnumbered, ");
    put_or_hex(c, name_of(commands, control & ~0x10u), "", control & ~0x10u);
    c.out.put(", Flags [");
    put_poll_flag(c, response, (control & 0x10) != 0);
    c.out.put("], length ", length);
}

void put_numbered(Context& c, std::uint32_t control, bool response, std::uint32_t length) noexcept {
    if ((control & 3) == 1) {
        const std::string_view name = name_of(supervisory, control >> 2 & 3u);
        c.out.put("Supervisory, ", name.empty() ? "?" : name, ", rcv seq ", control >> 9);
    } else {
        c.out.put("Information, send seq ", control >> 1 & 0x7fu, ", rcv seq ", control >> 9);
    }
    c.out.put(", Flags [");
    put_poll_flag(c, response, (control & 0x100) != 0);
    c.out.put("], length ", length);
}

} // namespace

bool llc(Context& c, View in, View frame, std::uint32_t& taken) noexcept {
    if (!c.need(in, 3, "llc"))
        return true;
    const std::uint8_t dsap = in.u8(0), ssap = in.u8(1);
    const bool unnumbered = (in.u8(2) & 3) == 3;
    if (!unnumbered && !c.need(in, 4, "llc"))
        return true;
    const std::uint32_t control = unnumbered ? in.u8(2) : in.u16_little(2);
    const std::uint32_t header = unnumbered ? 3 : 4;
    if (dsap == 0xff && ssap == 0xff) {
        c.out.put("IPX 802.3, length ", in.length);
        return true;
    }
    if (c.style.link_header) {
        put_service_points(c, dsap, ssap);
        put_control(c, control, unnumbered ? 2 : 4);
    }
    taken = header;
    const View payload = in.after(header);
    const std::uint8_t to = dsap & 0xfe, from = ssap & 0xfe;
    if (to == 0xaa && from == 0xaa && control == 3) {
        taken = header + 5;
        return snap(c, payload);
    }
    if (to == 0x42 && from == 0x42 && control == 3) {
        stp(c, payload);
        return true;
    }
    if (to == 0x06 && from == 0x06 && control == 3) {
        ipv4(c, payload);
        return true;
    }
    if (!c.style.link_header)
        put_ends(c, frame, to, from);
    if (unnumbered)
        put_unnumbered(c, control, (ssap & 1) != 0, in.length);
    else
        put_numbered(c, control, (ssap & 1) != 0, in.length);
    return !unnumbered && (control & 3) == 1; // a supervisory frame has no payload
}

} // namespace wirepath::decode
