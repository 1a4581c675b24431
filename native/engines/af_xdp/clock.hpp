// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ctime>

namespace wirepath::af_xdp {

// Unix time from the TAI clock that XDP programs read: the two differ by whole seconds, 0 or 37 in these years, which
// an NTP daemon may set at any moment.
class TaiClock {
  public:
    TaiClock() noexcept { measure(); }
    std::int64_t unix_ns(std::uint64_t tai_ns) const noexcept { return static_cast<std::int64_t>(tai_ns) - offset_; }
    static std::int64_t now() noexcept { return read(CLOCK_REALTIME); }

    void measure() noexcept {
        const std::int64_t apart = read(CLOCK_TAI) - read(CLOCK_REALTIME); // a few ns more than whole seconds, or less
        offset_ = (apart + second / 2) / second * second;
    }

  private:
    static constexpr std::int64_t second = 1'000'000'000;
    static std::int64_t read(clockid_t clock) noexcept {
        timespec t{};
        ::clock_gettime(clock, &t);
        return t.tv_sec * second + t.tv_nsec;
    }
    std::int64_t offset_ = 0;
};

} // namespace wirepath::af_xdp
