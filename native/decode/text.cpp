// SPDX-License-Identifier: Apache-2.0
#include "decode/text.hpp"

#include <algorithm>
#include <array>
#include <new>

namespace wirepath {
namespace {

constexpr char digits16[] = "0123456789abcdef";

constexpr auto two_digits = [] {
    std::array<char, 200> table{};
    for (std::size_t i = 0; i < 100; ++i) {
        table[2 * i] = static_cast<char>('0' + i / 10);
        table[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return table;
}();

// Writes the decimal digits so that they end at `end`; returns where they begin.
char* decimal_before(char* end, std::uint64_t value) noexcept {
    while (value >= 100) {
        const std::uint64_t rest = value / 100;
        std::memcpy(end -= 2, &two_digits[2 * (value - rest * 100)], 2);
        value = rest;
    }
    if (value < 10)
        *--end = static_cast<char>('0' + value);
    else
        std::memcpy(end -= 2, &two_digits[2 * value], 2);
    return end;
}

char* octet(char* to, std::uint8_t value) noexcept {
    if (value >= 100)
        *to++ = static_cast<char>('0' + value / 100);
    if (value >= 10)
        *to++ = static_cast<char>('0' + value / 10 % 10);
    *to++ = static_cast<char>('0' + value % 10);
    return to;
}

struct Run {
    int begin = 0, length = 0;
};

Run longest_zero_run(const std::uint16_t (&words)[8]) noexcept {
    Run best, run;
    for (int i = 0; i < 8; ++i) {
        run = words[i] != 0 ? Run{} : run.length == 0 ? Run{i, 1} : Run{run.begin, run.length + 1};
        if (run.length > best.length)
            best = run;
    }
    return best.length >= 2 ? best : Run{};
}

} // namespace

Text::Text(std::size_t capacity) : begin_(new char[capacity]), at_(begin_.get()), end_(at_ + capacity), limit_(end_) {}

bool Text::grow(std::size_t bytes) noexcept {
    if (muted_)
        return false;
    const std::size_t used = size();
    const std::size_t capacity = std::max(2 * static_cast<std::size_t>(end_ - begin_.get()), used + bytes);
    std::unique_ptr<char[]> larger(new (std::nothrow) char[capacity]);
    if (!larger) {
        out_of_memory_ = true;
        return false;
    }
    std::memcpy(larger.get(), begin_.get(), used);
    begin_ = std::move(larger);
    at_ = begin_.get() + used;
    limit_ = end_ = begin_.get() + capacity;
    return true;
}

void Text::decimal(std::uint64_t value) noexcept {
    char buffer[20];
    const char* const begin = decimal_before(buffer + sizeof buffer, value);
    put(std::string_view(begin, static_cast<std::size_t>(buffer + sizeof buffer - begin)));
}

void Text::decimal(std::uint64_t value, unsigned width, char fill) noexcept {
    char buffer[40];
    char* begin = decimal_before(buffer + sizeof buffer, value);
    while (begin > buffer + sizeof buffer - width)
        *--begin = fill;
    put(std::string_view(begin, static_cast<std::size_t>(buffer + sizeof buffer - begin)));
}

void Text::hex(std::uint64_t value) noexcept {
    unsigned digits = 1;
    while (digits < 16 && value >> (4 * digits) != 0)
        ++digits;
    hex(value, digits);
}

void Text::hex(std::uint64_t value, unsigned digits) noexcept {
    if (!make_room(digits))
        return;
    for (unsigned left = digits; left-- > 0;)
        *at_++ = digits16[value >> (4 * left) & 15];
}

void Text::hex_bytes(const std::uint8_t* bytes, std::size_t count) noexcept {
    if (!make_room(2 * count))
        return;
    for (std::size_t i = 0; i < count; ++i) {
        *at_++ = digits16[bytes[i] >> 4];
        *at_++ = digits16[bytes[i] & 15];
    }
}

void Text::ipv4(const std::uint8_t* address) noexcept {
    if (!make_room(15))
        return;
    for (int i = 0; i < 4; ++i) {
        if (i > 0)
            *at_++ = '.';
        at_ = octet(at_, address[i]);
    }
}

void Text::ipv6(const std::uint8_t* address) noexcept {
    std::uint16_t words[8];
    for (int i = 0; i < 8; ++i)
        words[i] = static_cast<std::uint16_t>(address[2 * i] << 8 | address[2 * i + 1]);
    const Run zeros = longest_zero_run(words);
    const bool embeds_ipv4 = zeros.begin == 0 && (zeros.length == 6 || (zeros.length == 5 && words[5] == 0xffff));
    const int zeros_end = zeros.begin + zeros.length;
    for (int i = 0; i < 8; ++i) {
        if (i == zeros.begin && zeros.length > 0)
            put(':');
        if (i >= zeros.begin && i < zeros_end)
            continue;
        if (i > 0)
            put(':');
        if (i == 6 && embeds_ipv4) {
            ipv4(address + 12);
            return;
        }
        hex(words[i]);
    }
    if (zeros_end == 8)
        put(':');
}

void Text::mac(const std::uint8_t* address, std::size_t count) noexcept {
    if (!make_room(3 * count))
        return;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0)
            *at_++ = ':';
        *at_++ = digits16[address[i] >> 4];
        *at_++ = digits16[address[i] & 15];
    }
}

void Text::visible(const std::uint8_t* bytes, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        std::uint8_t c = bytes[i];
        if (c >= 0x80) {
            put("M-");
            c &= 0x7f;
        }
        if (c < 0x20 || c == 0x7f) {
            put('^');
            c ^= 0x40;
        }
        put(static_cast<char>(c));
    }
}

} // namespace wirepath
