// SPDX-License-Identifier: Apache-2.0
// Numbers in a file's bytes, which stand at any address and in either byte order.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace wirepath::files {

template <std::unsigned_integral T>
constexpr T swapped(T value) noexcept {
    if constexpr (sizeof(T) == 1)
        return value;
    else if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(value);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

template <std::unsigned_integral T, bool Swap = false>
T load(const std::byte* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return Swap ? swapped(value) : value;
}

template <std::unsigned_integral T>
T load(const std::byte* from, bool swap) noexcept {
    return swap ? load<T, true>(from) : load<T, false>(from);
}

template <std::unsigned_integral T>
void store(std::byte* to, T value, bool swap = false) noexcept {
    if (swap)
        value = swapped(value);
    std::memcpy(to, &value, sizeof value);
}

constexpr std::size_t padded(std::size_t size) noexcept { return (size + 3) & ~std::size_t{3}; }

} // namespace wirepath::files
