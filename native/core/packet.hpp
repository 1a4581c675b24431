// SPDX-License-Identifier: Apache-2.0
// One packet, borrowed: valid for as long as the batch that it was taken from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wirepath {

// Bits of Packet::flags. Direction is what the kernel or the file says; no direction bit: unknown.
enum Flag : std::uint16_t {
    flag_inbound = 1 << 0,
    flag_outbound = 1 << 1,
    flag_broadcast = 1 << 2,
    flag_multicast = 1 << 3,
    flag_other_host = 1 << 4,     // for another host, seen because of promiscuous mode
    flag_csum_valid = 1 << 5,     // the NIC or the kernel has checked the transport checksum
    flag_csum_not_ready = 1 << 6, // sent by this host, the checksum is still to be filled in by the NIC
    flag_ts_hardware = 1 << 7,    // ts was taken by the NIC
    flag_gso = 1 << 8,            // several packets that GRO or GSO made one
    flag_no_ts = 1 << 9,          // the file gives no time for this packet; ts is 0
};

struct Packet {
    std::span<const std::byte> data; // caplen is data.size()
    std::uint32_t origlen = 0;       // length on the wire, in bytes, without FCS and without a tag held in vlan_tci
    std::int64_t ts = 0;             // ns since 1970-01-01T00:00:00Z
    std::uint16_t interface = 0;     // row of the capture's InterfaceTable
    std::uint16_t queue = 0;
    std::uint16_t vlan_tci = 0;  // the tag that hardware or kernel took out of the bytes; meaningful if vlan_tpid != 0
    std::uint16_t vlan_tpid = 0; // its ethertype (0x8100, 0x88a8), 0: no tag in metadata
    std::uint16_t flags = 0;
};

} // namespace wirepath
