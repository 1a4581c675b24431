// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace wirepath {

// See stats.def, and docs/stats.md. nullopt: cannot know.
struct Stats {
#define WIREPATH_STAT(name, meaning) std::optional<std::uint64_t> name;
#include "core/stats.def"
#undef WIREPATH_STAT

    // Of two sources of one capture. What one of them cannot know, nobody knows of both.
    Stats& operator+=(const Stats& other) noexcept {
#define WIREPATH_STAT(name, meaning) name = name && other.name ? std::optional(*name + *other.name) : std::nullopt;
#include "core/stats.def"
#undef WIREPATH_STAT
        return *this;
    }
};

} // namespace wirepath
