// SPDX-License-Identifier: Apache-2.0
// The layers of a packet. Each says what its own bytes say and hands the rest on to the next.
#pragma once

#include "decode/context.hpp"

namespace wirepath::decode {

// The IP packet that a transport header travels in.
struct Carrier {
    int version = 0;
    std::uint8_t protocol = 0; // of the IP header itself, before any extension header
    bool fragment = false;     // the first of several
    View header;
    const std::uint8_t* final_destination = nullptr; // where a source route ends; nullptr: there is none
};

void put_link_addresses(Context& c, const View& frame) noexcept;
void ethernet(Context& c, View frame, std::uint16_t vlan_tpid, std::uint16_t vlan_tci) noexcept;
void linux_cooked(Context& c, View packet) noexcept;
void linux_cooked2(Context& c, View packet, std::string_view interface) noexcept;
void loopback_family(Context& c, View packet) noexcept; // LINKTYPE_NULL and LINKTYPE_LOOP
void raw_ip(Context& c, View packet) noexcept;

// What an ethertype announces. False: unknown, and nothing was said.
bool ethertype_payload(Context& c, std::uint16_t ethertype, View payload) noexcept;
std::string_view ethertype_name(std::uint16_t ethertype) noexcept; // empty: no name
// `frame` (two MAC addresses) may be empty. False: unknown; `taken` is what its headers took.
bool llc(Context& c, View payload, View frame, std::uint32_t& taken) noexcept;

void arp(Context& c, View packet) noexcept;
void ipv4(Context& c, View packet) noexcept;
void ipv6(Context& c, View packet) noexcept;
std::string_view ip_protocol_name(std::uint8_t protocol) noexcept;

void ip_payload(Context& c, std::uint8_t protocol, View payload, const Carrier& ip) noexcept;
void tcp(Context& c, View segment, const Carrier& ip) noexcept;
struct TcpOrigin { // what sequence numbers in options are relative to
    std::uint32_t sack = 0;
};
bool tcp_options(Context& c, View options, TcpOrigin origin) noexcept; // false: one is bad, and nothing more is said
void udp(Context& c, View datagram, const Carrier& ip) noexcept;
void icmp(Context& c, View message, const Carrier& ip) noexcept;
void icmp6(Context& c, View message, const Carrier& ip) noexcept;
void icmp6_options(Context& c, View options) noexcept;
void igmp(Context& c, View message) noexcept;

enum class DnsOver { udp, tcp, multicast };
void dns(Context& c, View message, DnsOver over) noexcept;

// Bytes that nothing here knows, as a dump of their own, unless one in hex was asked for anyway, or little was.
void unknown_bytes(Context& c, const View& bytes) noexcept;

void put_port_pair(Context& c, const Carrier& ip, std::uint16_t source, std::uint16_t destination) noexcept;
void put_address_pair(Context& c, const Carrier& ip) noexcept;

} // namespace wirepath::decode
