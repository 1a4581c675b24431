// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "decode/text.hpp"

namespace wirepath::decode {

// "\n\t0x0000:  4500 0034 …": each line begins with `begin`.
void put_hex_lines(Text& out, const std::uint8_t* bytes, std::size_t count, std::string_view begin) noexcept;
// The same, followed by the printable characters.
void put_hex_ascii_lines(Text& out, const std::uint8_t* bytes, std::size_t count, std::string_view begin) noexcept;
void put_ascii(Text& out, const std::uint8_t* bytes, std::size_t count) noexcept;

} // namespace wirepath::decode
