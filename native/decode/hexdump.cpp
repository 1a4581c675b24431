// SPDX-License-Identifier: Apache-2.0
#include "decode/hexdump.hpp"

#include <algorithm>

namespace wirepath::decode {
namespace {

constexpr std::size_t line_bytes = 16;
constexpr std::size_t hex_columns = 5 * line_bytes / 2;

bool is_graphic(std::uint8_t c) noexcept { return c > 0x20 && c < 0x7f; }

void put_offset(Text& out, std::size_t offset, std::string_view begin) noexcept {
    out.put(begin);
    out.put("0x");
    out.hex(offset, offset > 0xfffff ? 6 : offset > 0xffff ? 5 : 4);
    out.put(": ");
}

std::size_t put_pairs(Text& out, const std::uint8_t* bytes, std::size_t count) noexcept {
    const std::size_t begin = out.size();
    for (std::size_t i = 0; i < count; i += 2) {
        out.put(' ');
        out.hex_bytes(bytes + i, std::min<std::size_t>(2, count - i));
    }
    return out.size() - begin;
}

} // namespace

void put_hex_lines(Text& out, const std::uint8_t* bytes, std::size_t count, std::string_view begin) noexcept {
    for (std::size_t at = 0; at < count; at += line_bytes) {
        put_offset(out, at, begin);
        put_pairs(out, bytes + at, std::min(line_bytes, count - at));
    }
}

void put_hex_ascii_lines(Text& out, const std::uint8_t* bytes, std::size_t count, std::string_view begin) noexcept {
    for (std::size_t at = 0; at < count; at += line_bytes) {
        const std::size_t here = std::min(line_bytes, count - at);
        put_offset(out, at, begin);
        for (std::size_t column = put_pairs(out, bytes + at, here); column < hex_columns; ++column)
            out.put(' ');
        out.put("  ");
        for (std::size_t i = 0; i < here; ++i)
            out.put(is_graphic(bytes[at + i]) ? static_cast<char>(bytes[at + i]) : '.');
    }
}

void put_ascii(Text& out, const std::uint8_t* bytes, std::size_t count) noexcept {
    out.put('\n');
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t c = bytes[i];
        if (c == '\r') { // no carriage return at the end of a line, a dot for any other
            if (i + 2 < count && bytes[i + 1] != '\n')
                out.put('.');
        } else {
            out.put(is_graphic(c) || c == '\t' || c == ' ' || c == '\n' ? static_cast<char>(c) : '.');
        }
    }
}

} // namespace wirepath::decode
