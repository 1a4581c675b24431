// SPDX-License-Identifier: Apache-2.0
#include "files/format.hpp"

#include <cstdio>

#include "files/bytes.hpp"
#include "files/pcap_format.hpp"
#include "files/pcap_reader.hpp"
#include "files/pcapng_format.hpp"
#include "files/pcapng_reader.hpp"

namespace wirepath::files {

Step Format::bad(std::uint64_t offset, const std::string& what) {
    fault_.emplace(Code::bad_file, "at byte " + std::to_string(offset) + ": " + what);
    return Step::bad;
}

std::unique_ptr<Format> recognise(const std::byte* start, FormatSettings settings) {
    const auto magic = load<std::uint32_t>(start);
    if (magic == pcapng::section_header)
        return std::make_unique<PcapngReader>(std::move(settings));
    if (const auto variant = pcap::variant_of(magic))
        return std::make_unique<PcapReader>(*variant, std::move(settings));
    char text[64];
    std::snprintf(text, sizeof text, "at byte 0: not a capture file: it begins with %02x %02x %02x %02x",
                  std::to_integer<unsigned>(start[0]), std::to_integer<unsigned>(start[1]),
                  std::to_integer<unsigned>(start[2]), std::to_integer<unsigned>(start[3]));
    throw Error(Code::bad_file, text, 0, "pcap and pcapng are read, plain or compressed by gzip or zstd");
}

} // namespace wirepath::files
