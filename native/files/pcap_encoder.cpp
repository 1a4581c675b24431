// SPDX-License-Identifier: Apache-2.0
#include "files/pcap_encoder.hpp"

#include <algorithm>

#include "files/pcap_format.hpp"
#include "files/pcapng_format.hpp"

namespace wirepath::files {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t last_ts = (std::int64_t{UINT32_MAX} + 1) * ns_per_s - 1; // in 2106
constexpr std::uint32_t usual_snaplen = 262144;

// The bits of the linktype field that say how long the frame check sequence is, where a file said so.
std::uint32_t fcs_bits(const Interface& interface) {
    for (pcapng::OptionReader option(pcapng::bytes_of(interface.options), false); option.next();) {
        std::uint8_t bits = 0;
        if (option.code() == pcapng::if_fcslen && option.number(bits))
            return pcap::has_fcs_length | static_cast<std::uint32_t>(bits / 16) << pcap::fcs_length_shift;
    }
    return 0;
}

std::string linktype_name(std::uint32_t linktype) { return "link type " + std::to_string(linktype); }

} // namespace

void PcapEncoder::begin(Output& to) {
    header_written_ = false;
    fitting_ = UINT32_MAX;
    if (interfaces().size() != 0)
        write_header(interfaces()[0], to);
}

bool PcapEncoder::write_header(const Interface& of, Output& to) {
    std::byte* at = to.reserve(pcap::file_header_bytes);
    if (at == nullptr)
        return false;
    linktype_ = of.linktype;
    snaplen_ = of.snaplen;
    store(at, nanoseconds_ ? pcap::magic_ns : pcap::magic_us);
    store<std::uint16_t>(at + 4, 2);
    store<std::uint16_t>(at + 6, 4);
    store<std::uint64_t>(at + 8, 0);
    store(at + 16, snaplen_ != 0 ? snaplen_ : usual_snaplen);
    store(at + 20, linktype_ | fcs_bits(of));
    to.commit(pcap::file_header_bytes, false);
    header_written_ = true;
    return true;
}

bool PcapEncoder::fits(std::uint16_t interface, Output& to) {
    const Interface& from = interfaces()[interface];
    if (!header_written_ && !write_header(from, to))
        return false;
    if (from.linktype != linktype_) {
        fault_.emplace(Code::unsupported,
                       "writing " + to.path() + ": a pcap file has one link-layer type, and packets have " +
                           linktype_name(linktype_) + " and " + linktype_name(from.linktype),
                       0, "Write pcapng instead");
        return false;
    }
    fitting_ = interface;
    return true;
}

std::uint32_t PcapEncoder::write(const Batch& batch, Rows rows, const Limits& limits, Output& to) {
    const std::uint32_t fraction = nanoseconds_ ? 1 : 1000;
    for (std::uint32_t row = rows.begin; row < rows.end; ++row) {
        const Packet packet = batch[row];
        if (packet.interface != fitting_ && !fits(packet.interface, to))
            return row;
        if (limits.reached(to.taken()))
            return row;
        const Body body(packet, linktype_, snaplen_);
        std::byte* at = to.reserve(pcap::record_header_bytes + body.caplen());
        if (at == nullptr)
            return row;
        const std::int64_t ts = std::clamp<std::int64_t>(packet.ts, 0, last_ts);
        store(at, static_cast<std::uint32_t>(ts / ns_per_s));
        store(at + 4, static_cast<std::uint32_t>(ts % ns_per_s) / fraction);
        store(at + 8, body.caplen());
        store(at + 12, body.origlen());
        body.copy_to(at + pcap::record_header_bytes, copied_);
        to.commit(pcap::record_header_bytes + body.caplen(), true);
    }
    return rows.end;
}

void PcapEncoder::end(Output& to, const std::vector<std::optional<Stats>>& /*statistics*/) {
    if (!header_written_)
        write_header(interfaces().size() != 0 ? interfaces()[0] : Interface{}, to);
}

} // namespace wirepath::files
