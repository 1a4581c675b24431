// SPDX-License-Identifier: Apache-2.0
// The pcapng file format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/packet.hpp"
#include "files/bytes.hpp"

namespace wirepath::files::pcapng {

// Block types.
constexpr std::uint32_t section_header = 0x0a0d0d0a; // the same in both byte orders
constexpr std::uint32_t interface_description = 1;
constexpr std::uint32_t obsolete_packet = 2;
constexpr std::uint32_t simple_packet = 3;
constexpr std::uint32_t name_resolution = 4;
constexpr std::uint32_t interface_statistics = 5;
constexpr std::uint32_t enhanced_packet = 6;
constexpr std::uint32_t journal_export = 9;
constexpr std::uint32_t decryption_secrets = 10;
constexpr std::uint32_t custom = 0x00000bad;
constexpr std::uint32_t custom_not_copied = 0x40000bad;

constexpr bool is_known(std::uint32_t type) noexcept {
    return (type >= interface_description && type <= enhanced_packet) || type == journal_export ||
           type == decryption_secrets || type == custom || type == custom_not_copied || type == section_header;
}

constexpr std::uint32_t byte_order_magic = 0x1a2b3c4d;

constexpr std::size_t block_overhead = 12; // type, length, and the length again
constexpr std::size_t section_bytes = 28;  // of the smallest such block
constexpr std::size_t interface_bytes = 20;
constexpr std::size_t packet_bytes = 32;
constexpr std::size_t simple_packet_bytes = 16;
constexpr std::size_t statistics_bytes = 24;

// Options. These are in every block:
constexpr std::uint16_t opt_end = 0;
constexpr std::uint16_t opt_comment = 1;
constexpr std::uint16_t opt_custom_text_not_copied = 19372;
constexpr std::uint16_t opt_custom_bytes_not_copied = 19373;
// Section header:
constexpr std::uint16_t shb_hardware = 2;
constexpr std::uint16_t shb_os = 3;
constexpr std::uint16_t shb_application = 4;
// Interface description:
constexpr std::uint16_t if_name = 2;
constexpr std::uint16_t if_description = 3;
constexpr std::uint16_t if_mac = 6;
constexpr std::uint16_t if_speed = 8;
constexpr std::uint16_t if_tsresol = 9;
constexpr std::uint16_t if_tzone = 10;
constexpr std::uint16_t if_filter = 11;
constexpr std::uint16_t if_os = 12;
constexpr std::uint16_t if_fcslen = 13;
constexpr std::uint16_t if_tsoffset = 14;
constexpr std::uint16_t if_hardware = 15;
constexpr std::uint16_t if_txspeed = 16;
constexpr std::uint16_t if_rxspeed = 17;
// Packets:
constexpr std::uint16_t epb_flags = 2;
constexpr std::uint16_t epb_dropcount = 4;
constexpr std::uint16_t epb_packetid = 5;
constexpr std::uint16_t epb_queue = 6;
// Interface statistics:
constexpr std::uint16_t isb_starttime = 2;
constexpr std::uint16_t isb_endtime = 3;
constexpr std::uint16_t isb_ifrecv = 4;
constexpr std::uint16_t isb_ifdrop = 5;
constexpr std::uint16_t isb_filteraccept = 6;
constexpr std::uint16_t isb_osdrop = 7;
constexpr std::uint16_t isb_usrdeliv = 8;

// Our flags and the 32 bits of epb_flags. What either cannot say is left out.
std::uint16_t flags_of_epb(std::uint32_t epb) noexcept;
std::uint32_t epb_of_flags(std::uint16_t flags) noexcept;

// Options one after another, each padded to four bytes.
class OptionReader {
  public:
    OptionReader(std::span<const std::byte> options, bool swap) noexcept : left_(options), swap_(swap) {}

    // False at the end. An option that claims more than there is ends it too, and leaves damaged() true.
    bool next() noexcept;
    std::uint16_t code() const noexcept { return code_; }
    std::span<const std::byte> value() const noexcept { return value_; }
    std::string text() const;
    template <std::unsigned_integral T>
    bool number(T& into) const noexcept { // false if the option has another size
        if (value_.size() != sizeof(T))
            return false;
        into = load<T>(value_.data(), swap_);
        return true;
    }
    // A number of 64 bits that was stored as two of 32, the high one first (timestamps).
    bool time(std::uint64_t& into) const noexcept;
    bool damaged() const noexcept { return damaged_; }
    std::size_t left() const noexcept { return left_.size(); }

  private:
    std::span<const std::byte> left_, value_;
    std::uint16_t code_ = 0;
    bool swap_;
    bool damaged_ = false;
};

void append_option(std::string& to, std::uint16_t code, std::span<const std::byte> value, bool swap = false);
void append_option(std::string& to, std::uint16_t code, const std::string& text, bool swap = false);
template <std::unsigned_integral T>
void append_number(std::string& to, std::uint16_t code, T value, bool swap = false) {
    std::byte bytes[sizeof(T)];
    store(bytes, value, swap);
    append_option(to, code, bytes, swap);
}
std::string one_byte_option(std::uint16_t code, std::uint32_t value); // in this machine's byte order

inline std::span<const std::byte> bytes_of(const std::string& text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

// Options of these blocks in the other byte order: lengths, codes and the numbers whose meaning is known.
std::string reordered_options(std::uint32_t block_type, std::span<const std::byte> options, bool from_swapped,
                              bool to_swapped);
// One such option's value, in place.
void reorder_value(std::uint32_t block_type, std::uint16_t code, std::span<std::byte> value) noexcept;

} // namespace wirepath::files::pcapng
