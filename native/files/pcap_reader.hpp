// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "files/format.hpp"
#include "files/pcap_format.hpp"

namespace wirepath::files {

class PcapReader final : public Format {
  public:
    PcapReader(pcap::Variant variant, FormatSettings settings);
    Step read(Chunk& chunk, Batch& into, Until until) noexcept override;

  private:
    // Old writers stored a record's two lengths the other way round (see libpcap's sf-pcap.c).
    enum class Lengths : std::uint8_t { as_specified, exchanged, exchanged_if_greater };

    Step read_header(Chunk& chunk);
    void add_interface(std::uint32_t linktype_field, std::uint32_t snaplen);
    template <bool Swap>
    Step read_records(Chunk& chunk, Batch& into) noexcept;
    Step oversized(const Chunk& chunk, std::uint32_t caplen);

    const pcap::Variant variant_;
    std::size_t record_header_ = pcap::record_header_bytes;
    std::uint32_t ns_per_fraction_ = 1000;
    std::uint32_t max_caplen_ = 0;
    std::uint16_t interface_ = 0;
    Lengths lengths_ = Lengths::as_specified;
    bool header_read_ = false;
};

} // namespace wirepath::files
