// SPDX-License-Identifier: Apache-2.0
#include "decode/conversations.hpp"

#include <cstring>

namespace wirepath::decode {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
    hash = (hash ^ value) * 0x9fb21c651e98df25u;
    return hash ^ hash >> 32;
}

std::uint64_t mix_bytes(std::uint64_t hash, const std::uint8_t* bytes, std::uint32_t count) noexcept {
    for (std::uint32_t i = 0; i < count; i += 4) {
        std::uint32_t word;
        std::memcpy(&word, bytes + i, 4);
        hash = mix(hash, word);
    }
    return hash;
}

} // namespace

Conversations::Conversations() : memory_(Mapping::anonymous(sizeof(Start) * sets * ways)) {}

Conversations::Start& Conversations::find(std::uint64_t key, bool& known) noexcept {
    Start* const set = static_cast<Start*>(memory_.data()) + (key % sets) * ways;
    std::uint32_t way = 0;
    while (way < ways - 1 && set[way].key != key)
        ++way;
    const Start found = set[way];
    known = found.key == key;
    for (; way > 0; --way) // the last one used stands first
        set[way] = set[way - 1];
    set[0] = known ? found : Start{key, 0, 0};
    return set[0];
}

std::uint64_t conversation_key(const std::uint8_t* first, const std::uint8_t* second, std::uint32_t address_bytes,
                               std::uint32_t ports) noexcept {
    const std::uint64_t hash =
        mix(mix_bytes(mix_bytes(0x2545f4914f6cdd1du, first, address_bytes), second, address_bytes), ports);
    return hash | 1u << 31; // marks a place that is taken
}

} // namespace wirepath::decode
