// SPDX-License-Identifier: Apache-2.0
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

constexpr Name hardware_types[] = {{1, "Ethernet"}, {6, "TokenRing"}, {7, "ArcNet"},     {15, "FrameRelay"},
                                   {19, "ATM"},     {23, "Strip"},    {24, "IEEE 1394"}, {32, "InfiniBand"}};
constexpr Name operations[] = {{1, "Request"},       {2, "Reply"},           {3, "Reverse Request"},
                               {4, "Reverse Reply"}, {8, "Inverse Request"}, {9, "Inverse Reply"},
                               {10, "NACK Reply"}};

class Arp {
  public:
    Arp(Context& context, const View& packet) noexcept
        : c_(context), in_(packet), hardware_bytes_(packet.u8(4)), protocol_bytes_(packet.u8(5)) {}

    std::uint32_t bytes() const noexcept { return 8 + 2 * (hardware_bytes_ + protocol_bytes_); }
    bool plain() const noexcept { return is_ip() && protocol_bytes_ == 4 && hardware_bytes_ != 0; }

    void types() noexcept {
        const std::string_view hardware = name_of(hardware_types, in_.u16(0));
        const std::string_view protocol = ethertype_name(in_.u16(2));
        if (hardware.empty())
            c_.out.put("Unknown Hardware (", in_.u16(0), ')');
        else
            c_.out.put(hardware);
        c_.out.put(" (len ", hardware_bytes_, "), ");
        if (protocol.empty()) {
            c_.out.put("Unknown Protocol (0x");
            c_.out.hex(in_.u16(2), 4);
            c_.out.put(')');
        } else {
            c_.out.put(protocol);
        }
        c_.out.put(" (len ", protocol_bytes_, ')');
    }

    bool operation() noexcept { // false: unknown
        const std::string_view name = name_of(operations, in_.u16(6));
        if (name.empty())
            c_.out.put("Unknown (", in_.u16(6), ") ");
        else
            c_.out.put(name, ' ');
        switch (in_.u16(6)) {
        case 1:
            request();
            return true;
        case 2:
            ip(sender_ip());
            c_.out.put(" is-at ");
            mac(8);
            return true;
        case 3:
        case 8:
            c_.out.put("who-is ");
            mac(target());
            c_.out.put(" tell ");
            mac(8);
            return true;
        case 4:
            mac(target());
            c_.out.put(" at ");
            ip(target() + hardware_bytes_);
            return true;
        case 9:
            mac(8);
            c_.out.put(" at ");
            ip(sender_ip());
            return true;
        default:
            return false;
        }
    }

  private:
    bool is_ip() const noexcept { return in_.u16(2) == 0x0800 || in_.u16(2) == 0x1000; }
    std::uint32_t sender_ip() const noexcept { return 8 + hardware_bytes_; }
    std::uint32_t target() const noexcept { return 8 + hardware_bytes_ + protocol_bytes_; }

    void request() noexcept {
        c_.out.put("who-has ");
        ip(target() + hardware_bytes_);
        bool known = false;
        for (std::uint32_t i = 0; i < hardware_bytes_; ++i)
            known = known || in_.u8(target() + i) != 0;
        if (known) {
            c_.out.put(" (");
            mac(target());
            c_.out.put(')');
        }
        c_.out.put(" tell ");
        ip(sender_ip());
    }
    void mac(std::uint32_t at) noexcept {
        if (hardware_bytes_ == 0)
            c_.out.put("<empty>");
        else
            c_.out.mac(in_.data + at, hardware_bytes_);
    }
    void ip(std::uint32_t at) noexcept {
        if (!is_ip())
            c_.out.put("<wrong proto type>");
        else if (protocol_bytes_ != 4)
            c_.out.put("<wrong len>");
        else
            c_.out.ipv4(in_.data + at);
    }

    Context& c_;
    const View& in_;
    std::uint32_t hardware_bytes_, protocol_bytes_;
};

} // namespace

void arp(Context& c, View packet) noexcept {
    if (!c.need(packet, 8, "arp"))
        return;
    Arp arp(c, packet);
    if (!c.need(packet, arp.bytes(), "arp"))
        return;
    if (!c.style.link_header)
        c.out.put("ARP, ");
    if (!arp.plain() || c.verbose())
        arp.types();
    if (arp.plain() || c.verbose()) {
        if (c.verbose())
            c.out.put(", ");
        if (!arp.operation()) {
            unknown_bytes(c, packet);
            return;
        }
    }
    c.out.put(", length ", packet.length);
}

} // namespace wirepath::decode
