// SPDX-License-Identifier: Apache-2.0
#include "files/pcapng_format.hpp"

#include <algorithm>

namespace wirepath::files::pcapng {
namespace {

constexpr std::uint32_t direction_mask = 3, inbound = 1, outbound = 2;
constexpr std::uint32_t reception_mask = 7 << 2, multicast = 2 << 2, broadcast = 3 << 2, promiscuous = 4 << 2;
constexpr std::uint32_t csum_not_ready = 1 << 9, csum_valid = 1 << 10, segmentation_offloaded = 1 << 11;

struct BitPair {
    std::uint16_t flag;
    std::uint32_t mask, epb;
};
constexpr BitPair pairs[] = {
    {flag_inbound, direction_mask, inbound},        {flag_outbound, direction_mask, outbound},
    {flag_multicast, reception_mask, multicast},    {flag_broadcast, reception_mask, broadcast},
    {flag_other_host, reception_mask, promiscuous}, {flag_csum_not_ready, csum_not_ready, csum_not_ready},
    {flag_csum_valid, csum_valid, csum_valid},      {flag_gso, segmentation_offloaded, segmentation_offloaded},
};

template <std::unsigned_integral T>
void swap_in_place(std::span<std::byte> value) noexcept {
    if (value.size() == sizeof(T))
        store(value.data(), load<T, true>(value.data()));
}

// How many bytes the numbers of an option have that follow one another; 0: it is not made of numbers.
int number_size(std::uint32_t block_type, std::uint16_t code) noexcept {
    switch (block_type) {
    case interface_description:
        return code == if_speed || code == if_tsoffset || code == if_txspeed || code == if_rxspeed ? 8
               : code == if_tzone                                                                  ? 4
                                                                                                   : 0;
    case obsolete_packet:
    case enhanced_packet:
        return code == epb_flags || code == epb_queue ? 4 : code == epb_dropcount || code == epb_packetid ? 8 : 0;
    case interface_statistics:
        return code == isb_starttime || code == isb_endtime ? 4 : code >= isb_ifrecv && code <= isb_usrdeliv ? 8 : 0;
    default:
        return 0;
    }
}

bool is_custom(std::uint16_t code) noexcept {
    return code == 2988 || code == 2989 || code == opt_custom_text_not_copied || code == opt_custom_bytes_not_copied;
}

} // namespace

std::uint16_t flags_of_epb(std::uint32_t epb) noexcept {
    std::uint16_t flags = 0;
    for (const BitPair& pair : pairs)
        if ((epb & pair.mask) == pair.epb)
            flags = static_cast<std::uint16_t>(flags | pair.flag);
    return flags;
}

std::uint32_t epb_of_flags(std::uint16_t flags) noexcept {
    std::uint32_t epb = 0;
    for (const BitPair& pair : pairs)
        if ((flags & pair.flag) != 0 && (epb & pair.mask) == 0)
            epb |= pair.epb;
    return epb;
}

bool OptionReader::next() noexcept {
    if (left_.size() < 4) {
        damaged_ = !left_.empty();
        return false;
    }
    code_ = load<std::uint16_t>(left_.data(), swap_);
    const auto length = load<std::uint16_t>(left_.data() + 2, swap_);
    if (code_ == opt_end) {
        left_ = {};
        return false;
    }
    if (left_.size() - 4 < length) {
        damaged_ = true;
        return false;
    }
    value_ = left_.subspan(4, length);
    left_ = left_.subspan(std::min(4 + padded(length), left_.size()));
    return true;
}

std::string OptionReader::text() const {
    std::string text(reinterpret_cast<const char*>(value_.data()), value_.size());
    text.resize(std::min(text.find('\0'), text.size())); // some writers count the terminator
    return text;
}

bool OptionReader::time(std::uint64_t& into) const noexcept {
    if (value_.size() != 8)
        return false;
    into =
        std::uint64_t{load<std::uint32_t>(value_.data(), swap_)} << 32 | load<std::uint32_t>(value_.data() + 4, swap_);
    return true;
}

void append_option(std::string& to, std::uint16_t code, std::span<const std::byte> value, bool swap) {
    const std::size_t length = std::min<std::size_t>(value.size(), UINT16_MAX);
    std::byte head[4];
    store(head, code, swap);
    store(head + 2, static_cast<std::uint16_t>(length), swap);
    to.append(reinterpret_cast<const char*>(head), sizeof head);
    to.append(reinterpret_cast<const char*>(value.data()), length);
    to.append(padded(length) - length, '\0');
}

void append_option(std::string& to, std::uint16_t code, const std::string& text, bool swap) {
    append_option(to, code, bytes_of(text), swap);
}

std::string one_byte_option(std::uint16_t code, std::uint32_t value) {
    std::string option;
    append_number(option, code, static_cast<std::uint8_t>(value));
    return option;
}

void reorder_value(std::uint32_t block_type, std::uint16_t code, std::span<std::byte> value) noexcept {
    if (is_custom(code)) { // begins with a Private Enterprise Number; the rest is its owner's
        if (value.size() >= 4)
            swap_in_place<std::uint32_t>(value.first(4));
        return;
    }
    const auto size = static_cast<std::size_t>(number_size(block_type, code));
    for (std::size_t at = 0; size != 0 && at + size <= value.size(); at += size) {
        swap_in_place<std::uint32_t>(value.subspan(at, size));
        swap_in_place<std::uint64_t>(value.subspan(at, size));
    }
}

std::string reordered_options(std::uint32_t block_type, std::span<const std::byte> options, bool from_swapped,
                              bool to_swapped) {
    std::string result;
    for (OptionReader option(options, from_swapped); option.next();) {
        const std::size_t begin = result.size() + 4;
        append_option(result, option.code(), option.value(), to_swapped);
        if (from_swapped != to_swapped)
            reorder_value(block_type, option.code(),
                          std::as_writable_bytes(std::span(result.data() + begin, option.value().size())));
    }
    return result;
}

} // namespace wirepath::files::pcapng
