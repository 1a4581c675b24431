// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace wirepath::ebpf {

// Unix time from the monotonic clock that BPF programs read. An NTP daemon that slows one of the two slows the other as
// well, so that what is between them changes only when somebody sets the time.
class UnixTime {
  public:
    UnixTime() noexcept { measure(); }
    static std::uint64_t monotonic() noexcept { return static_cast<std::uint64_t>(read(CLOCK_MONOTONIC)); }
    std::int64_t unix_ns(std::uint64_t monotonic) const noexcept {
        return static_cast<std::int64_t>(monotonic) + between_;
    }

    std::uint64_t monotonic_ns(std::int64_t ts) const noexcept { return static_cast<std::uint64_t>(ts - between_); }

    // Looks whether the time was set. What an inexact look finds is believed only if it is clear.
    void measure() noexcept {
        std::int64_t between = 0, inexact = INT64_MAX;
        for (int look = 0; look < 8 && inexact > precise; ++look) {
            const std::int64_t before = read(CLOCK_MONOTONIC), now = read(CLOCK_REALTIME),
                               after = read(CLOCK_MONOTONIC);
            if (after - before < inexact) {
                inexact = after - before;
                between = now - before - inexact / 2;
            }
        }
        if (std::abs(between - between_) > inexact + tolerated)
            between_ = between;
    }

  private:
    static constexpr std::int64_t precise = 200, tolerated = 1000; // ns
    static std::int64_t read(clockid_t clock) noexcept {
        timespec t{};
        ::clock_gettime(clock, &t);
        return t.tv_sec * 1'000'000'000 + t.tv_nsec;
    }
    std::int64_t between_ = 0;
};

} // namespace wirepath::ebpf
