// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "files/pcapng_reader.hpp"

namespace wirepath::files {
namespace {

__extension__ using Wide = __int128;

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::uint8_t binary = 0x80;
constexpr int most_decimal_digits = 9 + 19; // 10^19 is the greatest power of ten in 64 bits

std::uint64_t power_of_ten(int exponent) noexcept {
    std::uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

} // namespace

TimeUnit::TimeUnit(std::uint8_t tsresol, std::int64_t offset_s) noexcept : offset_s_(offset_s) {
    const int exponent = tsresol & ~binary;
    if ((tsresol & binary) != 0) {
        multiply_ = static_cast<std::uint64_t>(ns_per_s);
        shift_ = exponent;
    } else if (exponent <= 9) {
        multiply_ = power_of_ten(9 - exponent);
    } else {
        multiply_ = exponent <= most_decimal_digits ? 1 : 0;
        divide_ = power_of_ten(std::min(exponent, most_decimal_digits) - 9);
    }
    constexpr std::int64_t most = INT64_MAX / 4 / ns_per_s;
    const bool simple = divide_ == 1 && shift_ == 0 && offset_s >= -most && offset_s <= most;
    simple_limit_ = simple ? (UINT64_MAX >> 2) / multiply_ : 0;
    simple_offset_ns_ = std::clamp(offset_s, -most, most) * ns_per_s;
}

std::int64_t TimeUnit::ns_slowly(std::uint64_t units) const noexcept {
    const Wide scaled = (static_cast<Wide>(units) * multiply_ / divide_ >> shift_) + Wide{offset_s_} * ns_per_s;
    return static_cast<std::int64_t>(std::clamp<Wide>(scaled, INT64_MIN, INT64_MAX));
}

} // namespace wirepath::files
