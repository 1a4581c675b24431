// SPDX-License-Identifier: Apache-2.0
// The sequence numbers at which TCP conversations began, so that later ones can be told relative to them. The memory
// is bounded: the conversation that was silent longest makes room for a new one.
#pragma once

#include <cstdint>

#include "linux/mapping.hpp"

namespace wirepath::decode {

class Conversations {
  public:
    struct Start {
        std::uint64_t key = 0;
        std::uint32_t seq = 0, ack = 0; // of the endpoint that sorts first
    };

    Conversations(); // throws Error

    // The place of this conversation; `known` says whether it was there before.
    Start& find(std::uint64_t key, bool& known) noexcept;

  private:
    static constexpr std::uint32_t sets = 1 << 16, ways = 4; // 262,144 conversations, 4 MiB, mapped as they are used
    Mapping memory_;
};

// Of both directions alike when the caller passes the endpoints in one order. Never 0.
std::uint64_t conversation_key(const std::uint8_t* first, const std::uint8_t* second, std::uint32_t address_bytes,
                               std::uint32_t ports) noexcept;

} // namespace wirepath::decode
