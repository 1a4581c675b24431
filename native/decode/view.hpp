// SPDX-License-Identifier: Apache-2.0
// The part of a packet that a layer may look at.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace wirepath::decode {

struct View {
    const std::uint8_t* data = nullptr;
    std::uint32_t captured = 0; // bytes that are there
    std::uint32_t length = 0;   // bytes that there were on the wire, as the layer below says

    bool has(std::uint32_t bytes) const noexcept { return captured >= bytes; }
    bool has(std::uint32_t at, std::uint32_t bytes) const noexcept { return at <= captured && captured - at >= bytes; }

    // What follows the first bytes.
    View after(std::uint32_t bytes) const noexcept {
        const std::uint32_t step = std::min(bytes, captured);
        return {data + step, captured - step, length - std::min(bytes, length)};
    }
    // At most this many bytes.
    View first(std::uint32_t bytes) const noexcept {
        return {data, std::min(captured, bytes), std::min(length, bytes)};
    }

    // The caller has made sure with has() that they are there.
    std::uint8_t u8(std::uint32_t at) const noexcept { return data[at]; }
    std::uint16_t u16(std::uint32_t at) const noexcept {
        return static_cast<std::uint16_t>(data[at] << 8 | data[at + 1]);
    }
    std::uint16_t u16_little(std::uint32_t at) const noexcept {
        return static_cast<std::uint16_t>(data[at + 1] << 8 | data[at]);
    }
    std::uint32_t u32(std::uint32_t at) const noexcept {
        return static_cast<std::uint32_t>(u16(at)) << 16 | u16(at + 2);
    }
};

} // namespace wirepath::decode
