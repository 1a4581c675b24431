// SPDX-License-Identifier: Apache-2.0
// What a capture file is, all of it looked at: the facts that capinfos(1) gives.
#pragma once

#include <functional>

#include "files/reader.hpp"

namespace wirepath::files {

struct InterfaceSummary {
    Interface interface;
    std::uint64_t packets = 0, bytes = 0; // bytes: captured
    InterfaceCounts counts;               // what the file itself says of it
};

struct Summary {
    std::string compression;                       // "gzip", "zstd", empty: none
    std::uint64_t file_bytes = 0, plain_bytes = 0; // as it is stored, and after decompression
    Facts facts;
    std::vector<InterfaceSummary> interfaces;
    std::uint64_t packets = 0, bytes = 0, original_bytes = 0; // bytes: captured, and on the wire
    std::uint64_t cut_packets = 0;                            // of which less was captured than was on the wire
    std::uint64_t packets_without_time = 0;
    std::uint32_t least_caplen = 0, most_caplen = 0;
    std::optional<std::int64_t> first_ts, last_ts; // ns: the earliest and the latest
    bool in_order = true;                          // no packet is earlier than the one before it
    bool complete = true;                          // false: go_on() ended it early
    std::optional<Error> damage;                   // the rest is of what stands before it
};

// go_on is asked now and then. Throws Error: the file cannot be opened, or is no capture file.
Summary summarize(const std::string& path, const std::function<bool()>& go_on);

} // namespace wirepath::files
