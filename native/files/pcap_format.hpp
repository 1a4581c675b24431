// SPDX-License-Identifier: Apache-2.0
// The pcap file format (pcap-savefile(5)) and the variants that are told apart by their magic number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "files/bytes.hpp"

namespace wirepath::files::pcap {

constexpr std::uint32_t magic_us = 0xa1b2c3d4;
constexpr std::uint32_t magic_ns = 0xa1b23c4d;
constexpr std::uint32_t magic_modified = 0xa1b2cd34; // A. Kuznetzov's: interface, protocol and direction in each record

constexpr std::size_t file_header_bytes = 24;
constexpr std::size_t record_header_bytes = 16;
constexpr std::size_t modified_record_header_bytes = 24;

constexpr std::uint32_t linktype_mask = 0x03ffffff;
constexpr std::uint32_t has_fcs_length = 0x04000000;
constexpr int fcs_length_shift = 28; // in units of 16 bits

struct Variant {
    bool swap;
    std::uint32_t magic;
};

constexpr std::optional<Variant> variant_of(std::uint32_t magic) noexcept {
    for (const std::uint32_t known : {magic_us, magic_ns, magic_modified}) {
        if (magic == known)
            return Variant{false, known};
        if (magic == swapped(known))
            return Variant{true, known};
    }
    return std::nullopt;
}

} // namespace wirepath::files::pcap
