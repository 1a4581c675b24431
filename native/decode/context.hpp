// SPDX-License-Identifier: Apache-2.0
// What the layers of one packet share while it is put into words.
#pragma once

#include <string_view>

#include "decode/conversations.hpp"
#include "decode/style.hpp"
#include "decode/text.hpp"
#include "decode/view.hpp"

namespace wirepath::decode {

struct Context {
    Text& out;
    const Style& style;
    Conversations& conversations;
    std::uint32_t link_header_bytes = 0; // what -x leaves out
    std::uint32_t depth = 0;             // of packets within packets
    bool cut = false;

    // The packet ends before what the layer has to say does: says so, and lets nothing follow.
    void truncated(std::string_view layer) noexcept {
        if (!cut) {
            out.put(" [|", layer, ']');
            out.mute();
        }
        cut = true;
    }
    // True if they are there; else truncated().
    bool need(const View& in, std::uint32_t bytes, std::string_view layer) noexcept {
        if (!in.has(bytes))
            truncated(layer);
        return in.has(bytes);
    }
    bool need(const View& in, std::uint32_t at, std::uint32_t bytes, std::string_view layer) noexcept {
        if (!in.has(at, bytes))
            truncated(layer);
        return in.has(at, bytes);
    }
    void invalid() noexcept { out.put(" (invalid)"); }
    bool verbose(unsigned level = 1) const noexcept { return style.verbosity >= level; }
};

struct Name {
    std::uint32_t value;
    std::string_view name;
};

// The name of a value in a table; empty if it has none.
template <std::size_t N>
constexpr std::string_view name_of(const Name (&table)[N], std::uint32_t value) noexcept {
    for (const Name& row : table)
        if (row.value == value)
            return row.name;
    return {};
}

// "DF, +": the names of the bits that are set.
template <std::size_t N>
void put_bits(Text& out, const Name (&table)[N], std::uint32_t bits, std::string_view separator,
              std::string_view none) noexcept {
    bool first = true;
    for (const Name& row : table) {
        if ((bits & row.value) == 0)
            continue;
        if (!first)
            out.put(separator);
        out.put(row.name);
        first = false;
    }
    if (first)
        out.put(none);
}

} // namespace wirepath::decode
