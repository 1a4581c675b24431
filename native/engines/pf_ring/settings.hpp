// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "core/interfaces.hpp"

namespace wirepath::pf_ring {

std::span<const OptionSpec> option_specs() noexcept;

// A device as PF_RING's users write it: eth0, eth0@1, zc:eth0@1, and dna: as zc: was called before 2016.
struct Target {
    bool zero_copy = false, old_word = false;
    std::string interface;
    std::string channels; // after the @, empty: none named

    static Target named(const std::string& text); // throws Error bad_option
    std::string device(std::string_view channel) const;
};

enum class Direction : int { both, in, out }; // as pfring_set_direction numbers them

struct Settings {
    Target target;
    std::vector<std::uint32_t> channels; // a ring each; empty: one ring for all
    bool every_channel = false;          // as many as there turn out to be
    Direction direction = Direction::both;
    Clock clock = Clock::host;
    std::string transparent_mode; // as asked: "", "0" or "1"
    std::uint16_t watermark = 1;  // packets
    std::uint32_t snaplen = 0;
    bool promisc = true;

    explicit Settings(const OpenRequest& request); // throws Error
};

} // namespace wirepath::pf_ring
