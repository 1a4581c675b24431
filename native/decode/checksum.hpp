// SPDX-License-Identifier: Apache-2.0
// The internet checksum (RFC 1071).
#pragma once

#include <cstdint>

#include "decode/view.hpp"

namespace wirepath::decode {

class Checksum {
  public:
    void add(const std::uint8_t* bytes, std::uint32_t count) noexcept {
        for (std::uint32_t i = 0; i + 1 < count; i += 2)
            sum_ += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
        if (count % 2 != 0)
            sum_ += static_cast<std::uint32_t>(bytes[count - 1] << 8);
    }
    void add(std::uint32_t value) noexcept { sum_ += (value >> 16) + (value & 0xffff); }

    // 0 if the sum, the packet's own checksum included, is right.
    std::uint16_t remainder() const noexcept {
        std::uint64_t sum = sum_;
        while (sum >> 16 != 0)
            sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<std::uint16_t>(~sum);
    }
    // What the packet's own checksum should have been.
    std::uint16_t should_be(std::uint16_t stated) const noexcept {
        std::uint32_t sum = static_cast<std::uint32_t>(remainder()) + stated;
        sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<std::uint16_t>(sum + (sum >> 16));
    }

  private:
    std::uint64_t sum_ = 0;
};

struct Carrier;
// With the pseudo-header of the IP packet.
Checksum transport_checksum(const View& bytes, std::uint8_t protocol, const Carrier& ip) noexcept;

} // namespace wirepath::decode
