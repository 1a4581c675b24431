// SPDX-License-Identifier: Apache-2.0
#include "files/pcapng_reader.hpp"

#include <algorithm>
#include <cstdio>

namespace wirepath::files {

using namespace pcapng;

namespace {

std::string hex(std::uint32_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%08x", value);
    return text;
}

bool is_packet(std::uint32_t type) noexcept {
    return type == enhanced_packet || type == simple_packet || type == obsolete_packet;
}

std::size_t least_length(std::uint32_t type) noexcept {
    switch (type) {
    case section_header:
        return section_bytes;
    case interface_description:
        return interface_bytes;
    case enhanced_packet:
    case obsolete_packet:
        return packet_bytes;
    case simple_packet:
        return simple_packet_bytes;
    case interface_statistics:
        return statistics_bytes;
    default:
        return block_overhead;
    }
}

std::span<const std::byte> bytes_of_number(const std::uint32_t& number) noexcept {
    return std::as_bytes(std::span(&number, 1));
}

} // namespace

PcapngReader::PcapngReader(FormatSettings settings) : Format(std::move(settings)) { facts_.format = "pcapng"; }

Step PcapngReader::read(Chunk& chunk, Batch& into, Until until) noexcept {
    try {
        return read_blocks(chunk, into, until);
    } catch (const std::exception& error) {
        return bad(chunk.position(), error.what());
    }
}

Step PcapngReader::read_blocks(Chunk& chunk, Batch& into, Until until) {
    for (Block block; !into.full();) {
        if (const Next next = swap_ ? read_packets<true>(chunk, into, until) : read_packets<false>(chunk, into, until))
            return *next;
        if (const Next next = find_block(chunk, block))
            return *next;
        if (until == Until::first_packet && is_packet(block.type))
            return Step::packet;
        if (!understand(block, into))
            return Step::bad;
        chunk.used += block.body.size() + block_overhead;
    }
    return Step::full;
}

// The quick way through what most blocks are: ends at a block of another type, or one that is not in order.
template <bool Swap>
PcapngReader::Next PcapngReader::read_packets(Chunk& chunk, Batch& into, Until until) {
    while (!into.full()) {
        if (chunk.left() < packet_bytes)
            return std::nullopt;
        const std::byte* at = chunk.at();
        const auto length = load<std::uint32_t, Swap>(at + 4);
        if (load<std::uint32_t, Swap>(at) != enhanced_packet || until == Until::first_packet || length < packet_bytes ||
            length % 4 != 0 || length > chunk.left() || load<std::uint32_t, Swap>(at + length - 4) != length)
            return std::nullopt;
        if (!push_enhanced<Swap>(chunk, length, into))
            return Step::bad;
        chunk.used += length;
    }
    return Step::full;
}

template <bool Swap>
bool PcapngReader::push_enhanced(const Chunk& chunk, std::uint32_t length, Batch& into) {
    const std::byte* at = chunk.at();
    const auto interface = load<std::uint32_t, Swap>(at + 8);
    const auto caplen = load<std::uint32_t, Swap>(at + 20);
    if (caplen > length - packet_bytes) [[unlikely]]
        return fail(chunk.position() + 20, "a packet claims " + std::to_string(caplen) +
                                               " captured bytes in a block of " + std::to_string(length));
    if (interface >= interfaces_.size()) [[unlikely]]
        return known_interface(chunk.position() + 8, interface);
    const SectionInterface& from = interfaces_[interface];
    Packet packet;
    packet.data = {at + 28, std::min(caplen, settings_.keep_bytes)};
    packet.origlen = load<std::uint32_t, Swap>(at + 24);
    packet.ts =
        from.unit.ns(std::uint64_t{load<std::uint32_t, Swap>(at + 12)} << 32 | load<std::uint32_t, Swap>(at + 16));
    packet.interface = from.row;
    const std::size_t options = 28 + padded(caplen);
    if (options + 4 < length &&
        !read_packet_options({at + options, length - 4 - options}, chunk.position() + length - 4, packet, into))
        return false;
    into.push(packet);
    return true;
}

PcapngReader::Next PcapngReader::find_block(const Chunk& chunk, Block& block) {
    if (chunk.left() < block_overhead)
        return need(block_overhead);
    if (load<std::uint32_t>(chunk.at()) == section_header) {
        const auto order = load<std::uint32_t>(chunk.at() + 8);
        if (order != byte_order_magic && order != swapped(byte_order_magic))
            return bad(chunk.position() + 8, "a section begins without its byte-order mark, 0x1a2b3c4d");
        swap_ = order != byte_order_magic;
    }
    block.type = load<std::uint32_t>(chunk.at(), swap_);
    block.offset = chunk.position();
    const auto length = load<std::uint32_t>(chunk.at() + 4, swap_);
    if (const Next next = check_length(chunk, length, least_length(block.type)))
        return next;
    block.body = {chunk.at() + 8, length - block_overhead};
    return std::nullopt;
}

PcapngReader::Next PcapngReader::check_length(const Chunk& chunk, std::uint32_t length, std::size_t least) {
    const auto type = load<std::uint32_t>(chunk.at(), swap_);
    const auto wrong = [&](const std::string& what) {
        return bad(chunk.position() + 4,
                   "a block of type " + hex(type) + " claims " + std::to_string(length) + " bytes" + what);
    };
    if (length < least)
        return wrong(", " + std::to_string(least) + " at the least are needed");
    if (length > max_record)
        return wrong(", more than any block that is read");
    if (length % 4 != 0)
        return wrong(", not a multiple of 4");
    if (chunk.left() < length)
        return need(length);
    const auto again = load<std::uint32_t>(chunk.at() + length - 4, swap_);
    if (again != length)
        return wrong(", and " + std::to_string(again) + " at its end");
    return std::nullopt;
}

bool PcapngReader::understand(const Block& block, Batch& into) {
    if (!is_packet(block.type))
        ++facts_.blocks[block.type];
    switch (block.type) {
    case section_header:
        return read_section(block, into);
    case interface_description:
        return read_interface(block, into);
    case simple_packet:
        return read_simple(block, into);
    case obsolete_packet:
        return read_obsolete(block, into);
    case interface_statistics:
        return read_statistics(block, into);
    default:
        return keep_block(block, into);
    }
}

bool PcapngReader::read_section(const Block& block, Batch& into) {
    const auto major = load<std::uint16_t>(block.body.data() + 4, swap_);
    if (major != 1)
        return fail(block.offset + 12, "pcapng version " + std::to_string(major) + " is not known");
    const auto options = block.body.subspan(16);
    const bool first = facts_.sections++ == 0;
    OptionReader option(options, swap_);
    while (option.next()) {
        if (option.code() == opt_comment) {
            ++facts_.comments;
            facts_.section_comments.push_back(option.text());
        }
        constexpr const char* names[] = {"hardware", "os", "application"};
        if (first && option.code() >= shb_hardware && option.code() <= shb_application)
            facts_.section_texts[names[option.code() - shb_hardware]] = option.text();
    }
    if (!whole(option, block.offset + 24 + options.size()))
        return false;
    if (first)
        facts_.big_endian = swap_;
    interfaces_.clear();
    into.annotations().add(Annotation::Kind::section, into.size(), section_header, options, swap_);
    return true;
}

bool PcapngReader::read_interface(const Block& block, Batch& into) {
    SectionInterface here{0, number(block, 4), {}};
    Interface interface;
    interface.linktype = load<std::uint16_t>(block.body.data(), swap_);
    interface.snaplen = here.snaplen != 0 ? std::min(here.snaplen, settings_.keep_bytes) : 0;
    if (!read_interface_options(block, interface, here))
        return false;
    interface.options = reordered_options(block.type, block.body.subspan(8), swap_, false);
    here.row = settings_.interfaces->add(std::move(interface));
    interfaces_.push_back(here);
    into.annotations().add(Annotation::Kind::block, into.size(), block.type, bytes_of_number(here.row), false);
    return true;
}

bool PcapngReader::read_interface_options(const Block& block, Interface& interface, SectionInterface& here) {
    std::uint8_t resolution = 6;
    std::uint64_t offset_s = 0;
    const auto options = block.body.subspan(8);
    OptionReader option(options, swap_);
    while (option.next()) {
        switch (option.code()) {
        case opt_comment:
            ++facts_.comments;
            break;
        case if_name:
            interface.name = option.text();
            break;
        case if_description:
            interface.description = option.text();
            break;
        case if_mac:
            interface.mac.assign(reinterpret_cast<const char*>(option.value().data()), option.value().size());
            break;
        case if_speed:
            option.number(interface.speed_bps);
            break;
        case if_tsresol:
            option.number(resolution);
            break;
        case if_tsoffset:
            option.number(offset_s);
            break;
        case if_filter:
            if (option.value().size() > 1 && option.value()[0] == std::byte{0}) // 0: the text of an expression
                interface.filter.assign(reinterpret_cast<const char*>(option.value().data()) + 1,
                                        option.value().size() - 1);
            break;
        case if_os:
            interface.os = option.text();
            break;
        case if_hardware:
            interface.hardware = option.text();
            break;
        default:
            break;
        }
    }
    here.unit = TimeUnit(resolution, static_cast<std::int64_t>(offset_s));
    return whole(option, block.offset + 16 + options.size());
}

bool PcapngReader::read_statistics(const Block& block, Batch& into) {
    if (!known_interface(block.offset + 8, number(block, 0)))
        return false;
    const SectionInterface& of = interfaces_[number(block, 0)];
    InterfaceCounts counts;
    const auto options = block.body.subspan(12);
    std::string body(12, '\0');
    const auto put_time = [&body](std::size_t at, std::int64_t ns) {
        const auto bytes = std::as_writable_bytes(std::span(body));
        store(bytes.data() + at, static_cast<std::uint32_t>(static_cast<std::uint64_t>(ns) >> 32));
        store(bytes.data() + at + 4, static_cast<std::uint32_t>(ns));
    };
    std::memcpy(body.data(), bytes_of_number(of.row).data(), 4);
    put_time(4, of.unit.ns(std::uint64_t{number(block, 4)} << 32 | number(block, 8)));
    OptionReader option(options, swap_);
    while (option.next()) {
        const std::size_t begin = body.size() + 4;
        append_option(body, option.code(), option.value());
        std::uint64_t value = 0;
        if (option.code() == isb_starttime || option.code() == isb_endtime) {
            if (!option.time(value))
                continue;
            const std::int64_t ns = of.unit.ns(value);
            put_time(begin, ns);
            (option.code() == isb_starttime ? counts.start_ts : counts.end_ts) = static_cast<std::uint64_t>(ns);
            continue;
        }
        facts_.comments += option.code() == opt_comment;
        if (swap_)
            reorder_value(block.type, option.code(),
                          std::as_writable_bytes(std::span(body.data() + begin, option.value().size())));
        std::optional<std::uint64_t>* const named[] = {&counts.received, &counts.dropped_interface,
                                                       &counts.filter_accepted, &counts.dropped_os, &counts.delivered};
        if (option.code() >= isb_ifrecv && option.code() <= isb_usrdeliv && option.number(value))
            *named[option.code() - isb_ifrecv] = value;
    }
    if (!whole(option, block.offset + 20 + options.size()))
        return false;
    facts_.statistics[of.row] = counts;
    into.annotations().add(Annotation::Kind::block, into.size(), block.type, bytes_of(body), false);
    return true;
}

bool PcapngReader::read_simple(const Block& block, Batch& into) {
    if (!known_interface(block.offset, 0))
        return false;
    const SectionInterface& from = interfaces_[0];
    Packet packet;
    packet.origlen = number(block, 0);
    const std::size_t caplen = std::min<std::size_t>(packet.origlen, block.body.size() - 4);
    const std::uint32_t limit = from.snaplen != 0 ? std::min(from.snaplen, settings_.keep_bytes) : settings_.keep_bytes;
    packet.data = block.body.subspan(4, std::min<std::size_t>(caplen, limit));
    packet.interface = from.row;
    packet.flags = flag_no_ts;
    into.push(packet);
    return true;
}

bool PcapngReader::read_obsolete(const Block& block, Batch& into) {
    const auto interface = load<std::uint16_t>(block.body.data(), swap_);
    const auto drops = load<std::uint16_t>(block.body.data() + 2, swap_);
    const std::uint32_t caplen = number(block, 12);
    if (caplen > block.body.size() - 20)
        return fail(block.offset + 20, "a packet claims " + std::to_string(caplen) + " captured bytes in a block of " +
                                           std::to_string(block.body.size() + 12));
    if (!known_interface(block.offset + 8, interface))
        return false;
    const SectionInterface& from = interfaces_[interface];
    Packet packet;
    packet.data = block.body.subspan(20, std::min(caplen, settings_.keep_bytes));
    packet.origlen = number(block, 16);
    packet.ts = from.unit.ns(std::uint64_t{number(block, 4)} << 32 | number(block, 8));
    packet.interface = from.row;
    if (!read_packet_options(block.body.subspan(20 + padded(caplen)), block.offset + 8 + block.body.size(), packet,
                             into))
        return false;
    if (drops != 0 && drops != UINT16_MAX) { // UINT16_MAX: unknown
        const std::uint64_t count = drops;
        into.annotations().add(Annotation::Kind::packet_option, into.size(), epb_dropcount,
                               std::as_bytes(std::span(&count, 1)), false);
    }
    into.push(packet);
    return true;
}

bool PcapngReader::keep_block(const Block& block, Batch& into) {
    facts_.unknown_blocks += !is_known(block.type);
    into.annotations().add(Annotation::Kind::block, into.size(), block.type, block.body, swap_);
    return true;
}

// What the columns can hold goes there; the rest is kept as it stands.
bool PcapngReader::read_packet_options(std::span<const std::byte> options, std::uint64_t end, Packet& packet,
                                       Batch& into) {
    OptionReader all(options, swap_);
    while (all.next()) {
    }
    if (!whole(all, end))
        return false; // before anything is kept of it
    OptionReader option(options, swap_);
    while (option.next()) {
        std::uint32_t value = 0;
        facts_.comments += option.code() == opt_comment;
        if (option.code() == epb_flags && option.number(value)) {
            packet.flags = flags_of_epb(value);
            if (epb_of_flags(packet.flags) == value && value != 0)
                continue;
        } else if (option.code() == epb_queue && option.number(value) && value <= UINT16_MAX) {
            packet.queue = static_cast<std::uint16_t>(value);
            if (value != 0)
                continue;
        }
        into.annotations().add(Annotation::Kind::packet_option, into.size(), option.code(), option.value(), swap_);
    }
    return true;
}

bool PcapngReader::known_interface(std::uint64_t offset, std::uint32_t id) {
    return id < interfaces_.size() ||
           fail(offset, "interface " + std::to_string(id) + " is used, but this section has " +
                            std::to_string(interfaces_.size()));
}

bool PcapngReader::whole(const OptionReader& options, std::uint64_t end) {
    return !options.damaged() || fail(end - options.left(), "an option is longer than its block");
}

} // namespace wirepath::files
