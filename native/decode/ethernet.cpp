// SPDX-License-Identifier: Apache-2.0
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr std::uint16_t largest_length = 1500;
constexpr std::uint16_t alteon_jumbo = 0x8870; // LLC follows, as after a length

constexpr Name ethertypes[] = {
    {0x0800, "IPv4"},
    {0x86dd, "IPv6"},
    {0x0806, "ARP"},
    {0x8100, "802.1Q"},
    {0x88a8, "802.1Q-QinQ"},
    {0x9100, "802.1Q-9100"},
    {0x9200, "802.1Q-9200"},
    {0x8847, "MPLS unicast"},
    {0x8848, "MPLS multicast"},
    {0x88cc, "LLDP"},
    {0x8863, "PPPoE D"},
    {0x8864, "PPPoE S"},
    {0x888e, "EAPOL"},
    {0x88e5, "802.1AE MACsec"},
    {0x8809, "Slow Protocols"},
    {0x8808, "MPCP"},
    {0x88f7, "PTP"},
    {0x8902, "CFM"},
    {0x88a2, "AoE"},
    {0x88ca, "TIPC"},
    {0x893a, "IEEE1905.1"},
    {0x894f, "NSH"},
    {0x8947, "GeoNet"},
    {0x9000, "Loopback"},
    {0x6558, "TEB"},
    {0x8035, "Reverse ARP"},
    {0x809b, "Appletalk"},
    {0x80f3, "Appletalk ARP"},
    {0x8137, "IPX"},
    {0x880b, "PPP"},
    {0x8870, "Jumbo"},
    {0x8899, "Realtek protocols"},
    {0x886f, "MS NLB heartbeat"},
    {0x0200, "PUP"},
    {0x0600, "NS"},
    {0x0500, "Sprite"},
    {0x1000, "Trail"},
    {0x6001, "MOP DL"},
    {0x6002, "MOP RC"},
    {0x6003, "DN"},
    {0x6004, "LAT"},
    {0x6007, "SCA"},
    {0x8038, "Lanbridge"},
    {0x803c, "DEC DNS"},
    {0x803e, "DEC DTS"},
    {0x805b, "VEXP"},
    {0x805c, "VPROD"},
};

bool is_vlan_tag(std::uint16_t ethertype) noexcept {
    return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100 || ethertype == 0x9200;
}

void put_ethertype(Context& c, std::uint16_t ethertype) noexcept {
    const std::string_view name = ethertype_name(ethertype);
    if (c.style.quiet && !name.empty()) {
        c.out.put(name);
        return;
    }
    c.out.put(c.style.quiet ? "Unknown Ethertype (0x" : "ethertype ");
    if (!c.style.quiet)
        c.out.put(name.empty() ? std::string_view("Unknown") : name, " (0x");
    c.out.hex(ethertype, 4);
    c.out.put(')');
}

// With -e: "ethertype 802.1Q (0x8100), length 64: vlan 5, p 0, ethertype IPv4 …": the frame's length comes once.
class HeaderText {
  public:
    HeaderText(Context& context, std::uint32_t frame_length) noexcept : c_(context), length_(frame_length) {}

    void tag(std::uint16_t tpid, std::uint16_t tci) noexcept {
        if (!c_.style.link_header)
            return;
        type(tpid);
        c_.out.put("vlan ", tci & 0xfffu, ", p ", static_cast<std::uint32_t>(tci >> 13), (tci & 0x1000) ? ", DEI" : "",
                   ", ");
    }
    void type(std::uint16_t ethertype) noexcept {
        put_ethertype(c_, ethertype);
        end(length_);
    }
    void ieee802_3(std::uint32_t length) noexcept {
        c_.out.put("802.3");
        if (!length_said_)
            c_.out.put(", length ", length, ": ");
    }

  private:
    void end(std::uint32_t length) noexcept {
        if (length_said_)
            c_.out.put(", ");
        else
            c_.out.put(", length ", length, ": ");
        length_said_ = true;
    }

    Context& c_;
    std::uint32_t length_;
    bool length_said_ = false;
};

void put_type_of_unknown(Context& c, const View& frame, std::uint16_t ethertype, std::uint32_t length) noexcept {
    put_link_addresses(c, frame);
    put_ethertype(c, ethertype);
    c.out.put(", length ", length, ": ");
}

} // namespace

std::string_view ethertype_name(std::uint16_t ethertype) noexcept { return name_of(ethertypes, ethertype); }

void put_link_addresses(Context& c, const View& frame) noexcept {
    c.out.mac(frame.data + 6);
    c.out.put(" > ");
    c.out.mac(frame.data);
    c.out.put(", ");
}

bool ethertype_payload(Context& c, std::uint16_t ethertype, View payload) noexcept {
    switch (ethertype) {
    case 0x0800:
        ipv4(c, payload);
        return true;
    case 0x86dd:
        ipv6(c, payload);
        return true;
    case 0x0806:
    case 0x8035:
        arp(c, payload);
        return true;
    default:
        return false;
    }
}

void ethernet(Context& c, View frame, std::uint16_t vlan_tpid, std::uint16_t vlan_tci) noexcept {
    if (!c.need(frame, 14, "ether"))
        return;
    const bool tagged = vlan_tpid != 0; // the tag is not in the bytes, but belongs to the frame
    const std::uint32_t length = frame.length + (tagged ? 4 : 0);
    HeaderText header(c, length);
    if (c.style.link_header)
        put_link_addresses(c, frame);
    if (tagged)
        header.tag(vlan_tpid, vlan_tci);

    std::uint32_t at = 14;
    std::uint16_t type = frame.u16(12);
    while (is_vlan_tag(type)) {
        if (!c.need(frame, at, 4, "vlan"))
            return;
        header.tag(type, frame.u16(at));
        type = frame.u16(at + 2);
        at += 4;
    }

    View payload = frame.after(at);
    c.link_header_bytes += at;
    if (type <= largest_length || type == alteon_jumbo) {
        if (type < payload.length)
            payload = payload.first(type);
        if (c.style.link_header && type <= largest_length)
            header.ieee802_3(payload.length);
        std::uint32_t taken = 0;
        if (!llc(c, payload, frame, taken))
            unknown_bytes(c, payload);
        c.link_header_bytes += taken;
        return;
    }
    if (c.style.link_header)
        header.type(type);
    if (!ethertype_payload(c, type, payload)) {
        if (!c.style.link_header)
            put_type_of_unknown(c, frame, type, length);
        unknown_bytes(c, payload);
    }
}

} // namespace wirepath::decode
