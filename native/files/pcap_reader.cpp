// SPDX-License-Identifier: Apache-2.0
#include "files/pcap_reader.hpp"

#include <algorithm>
#include <linux/if_packet.h>

#include "files/pcapng_format.hpp"

namespace wirepath::files {
namespace {

constexpr std::uint32_t usual_max_caplen = 262144;
constexpr std::int64_t ns_per_s = 1'000'000'000;

std::uint16_t flags_of_packet_type(std::uint8_t type) {
    switch (type) {
    case PACKET_HOST:
        return flag_inbound;
    case PACKET_BROADCAST:
        return flag_inbound | flag_broadcast;
    case PACKET_MULTICAST:
        return flag_inbound | flag_multicast;
    case PACKET_OTHERHOST:
        return flag_inbound | flag_other_host;
    case PACKET_OUTGOING:
        return flag_outbound;
    default:
        return 0;
    }
}

} // namespace

PcapReader::PcapReader(pcap::Variant variant, FormatSettings settings)
    : Format(std::move(settings)), variant_(variant) {
    facts_.format = "pcap";
    facts_.big_endian = variant.swap;
    if (variant.magic == pcap::magic_ns) {
        ns_per_fraction_ = 1;
        facts_.variant = "nanoseconds";
    } else if (variant.magic == pcap::magic_modified) {
        record_header_ = pcap::modified_record_header_bytes;
        facts_.variant = "modified";
    }
}

Step PcapReader::read(Chunk& chunk, Batch& into, Until until) noexcept {
    if (!header_read_) {
        try {
            const Step step = read_header(chunk);
            if (!header_read_)
                return step;
        } catch (const std::exception& error) {
            return bad(chunk.position(), error.what());
        }
    }
    if (until == Until::first_packet)
        return Step::packet;
    return variant_.swap ? read_records<true>(chunk, into) : read_records<false>(chunk, into);
}

Step PcapReader::read_header(Chunk& chunk) {
    if (chunk.left() < pcap::file_header_bytes)
        return need(pcap::file_header_bytes);
    const bool swap = variant_.swap;
    const auto major = load<std::uint16_t>(chunk.at() + 4, swap);
    const auto minor = load<std::uint16_t>(chunk.at() + 6, swap);
    if (major != 2 && major != 543)
        return bad(chunk.position() + 4,
                   "pcap version " + std::to_string(major) + "." + std::to_string(minor) + " is not known");
    if (major == 543 || minor < 3)
        lengths_ = Lengths::exchanged;
    else if (minor == 3)
        lengths_ = Lengths::exchanged_if_greater;
    add_interface(load<std::uint32_t>(chunk.at() + 20, swap), load<std::uint32_t>(chunk.at() + 16, swap));
    chunk.used += pcap::file_header_bytes;
    header_read_ = true;
    return Step::full;
}

void PcapReader::add_interface(std::uint32_t linktype_field, std::uint32_t snaplen) {
    Interface interface;
    interface.linktype = linktype_field & pcap::linktype_mask;
    interface.snaplen = std::min(snaplen, settings_.keep_bytes);
    if ((linktype_field & pcap::has_fcs_length) != 0)
        interface.options = pcapng::one_byte_option(pcapng::if_fcslen, (linktype_field >> pcap::fcs_length_shift) * 16);
    max_caplen_ = std::clamp(snaplen, usual_max_caplen, static_cast<std::uint32_t>(max_record));
    if (snaplen > INT32_MAX) // no limit, in some writers' words
        max_caplen_ = usual_max_caplen;
    interface_ = settings_.interfaces->add(std::move(interface));
}

template <bool Swap>
Step PcapReader::read_records(Chunk& chunk, Batch& into) noexcept {
    const bool modified = variant_.magic == pcap::magic_modified;
    Packet packet;
    packet.interface = interface_;
    while (!into.full()) {
        if (chunk.left() < record_header_)
            return need(record_header_);
        const std::byte* at = chunk.at();
        auto caplen = load<std::uint32_t, Swap>(at + 8);
        packet.origlen = load<std::uint32_t, Swap>(at + 12);
        if (lengths_ == Lengths::exchanged || (lengths_ == Lengths::exchanged_if_greater && caplen > packet.origlen))
            [[unlikely]]
            std::swap(caplen, packet.origlen);
        if (caplen > max_caplen_) [[unlikely]]
            return oversized(chunk, caplen);
        if (chunk.left() < record_header_ + caplen)
            return need(record_header_ + caplen);
        packet.ts = load<std::uint32_t, Swap>(at) * ns_per_s +
                    static_cast<std::int64_t>(load<std::uint32_t, Swap>(at + 4)) * ns_per_fraction_;
        packet.data = {at + record_header_, std::min(caplen, settings_.keep_bytes)};
        if (modified)
            packet.flags = flags_of_packet_type(std::to_integer<std::uint8_t>(at[22]));
        into.push(packet);
        chunk.used += record_header_ + caplen;
    }
    return Step::full;
}

Step PcapReader::oversized(const Chunk& chunk, std::uint32_t caplen) {
    return bad(chunk.position() + 8, "a packet claims " + std::to_string(caplen) + " captured bytes, more than " +
                                         std::to_string(max_caplen_) + ", the most that this file can hold");
}

} // namespace wirepath::files
