// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "decode/style.hpp"
#include "decode/text.hpp"

namespace wirepath::decode {

// Puts timestamps into words. The calendar is asked once in fifteen minutes of packet time: no zone changes more often.
class Clock {
  public:
    Clock(TimeStyle style, bool nanoseconds) noexcept : style_(style), nanoseconds_(nanoseconds) {}

    void put(Text& out, std::int64_t ts) noexcept; // with the space that follows

  private:
    void local(Text& out, std::int64_t ts, bool date) noexcept;
    void look_up(std::int64_t seconds) noexcept;
    void relative(Text& out, std::int64_t ts) noexcept;
    void fraction(Text& out, std::int64_t nanoseconds) const noexcept;

    TimeStyle style_;
    bool nanoseconds_;
    bool have_reference_ = false;
    std::int64_t reference_ = 0;
    std::int64_t quarter_ = INT64_MIN; // the quarter of an hour that was looked up
    std::int64_t midnight_ = 0;        // seconds since the epoch at which its local day began
    char date_[16] = {};               // "2026-11-23 "
    std::int64_t second_ = INT64_MIN;  // whose text `time_` is
    char time_[8] = {};                // "12:34:56"
};

} // namespace wirepath::decode
