// SPDX-License-Identifier: Apache-2.0
#include "decode/clock.hpp"

#include <ctime>

namespace wirepath::decode {
namespace {

constexpr std::int64_t billion = 1'000'000'000;

std::int64_t floor_divide(std::int64_t value, std::int64_t by) noexcept {
    return value / by - (value % by < 0 ? 1 : 0);
}

void two(char* to, std::int64_t value) noexcept {
    to[0] = static_cast<char>('0' + value / 10);
    to[1] = static_cast<char>('0' + value % 10);
}

void put_time_of_day(char* to, std::int64_t seconds) noexcept {
    two(to, seconds / 3600 % 24);
    to[2] = to[5] = ':';
    two(to + 3, seconds / 60 % 60);
    two(to + 6, seconds % 60);
}

} // namespace

void Clock::put(Text& out, std::int64_t ts) noexcept {
    switch (style_) {
    case TimeStyle::none:
        return;
    case TimeStyle::clock:
        local(out, ts, false);
        break;
    case TimeStyle::date:
        local(out, ts, true);
        break;
    case TimeStyle::epoch:
        if (ts < 0)
            out.put('-');
        out.decimal(static_cast<std::uint64_t>(ts < 0 ? -(ts / billion) : ts / billion));
        fraction(out, ts < 0 ? -(ts % billion) : ts % billion);
        break;
    case TimeStyle::since_previous:
    case TimeStyle::since_first:
        relative(out, ts);
        break;
    }
    out.put(' ');
}

void Clock::local(Text& out, std::int64_t ts, bool date) noexcept {
    const std::int64_t seconds = floor_divide(ts, billion);
    if (seconds != second_) {
        if (floor_divide(seconds, 900) != quarter_)
            look_up(seconds);
        put_time_of_day(time_, seconds - midnight_);
        second_ = seconds;
    }
    if (date)
        out.put(std::string_view(date_));
    out.put(std::string_view(time_, sizeof time_));
    fraction(out, ts - seconds * billion);
}

void Clock::look_up(std::int64_t seconds) noexcept {
    quarter_ = floor_divide(seconds, 900);
    const std::time_t begin = quarter_ * 900;
    std::tm local{};
    localtime_r(&begin, &local);
    midnight_ = begin - (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec);
    if (std::strftime(date_, sizeof date_, "%Y-%m-%d ", &local) == 0)
        date_[0] = '\0';
}

void Clock::relative(Text& out, std::int64_t ts) noexcept {
    if (!have_reference_)
        reference_ = ts;
    have_reference_ = true;
    const bool earlier = ts < reference_;
    const std::int64_t distance = earlier ? reference_ - ts : ts - reference_;
    char time[8];
    put_time_of_day(time, distance / billion);
    out.put(earlier ? '-' : ' ');
    out.put(std::string_view(time, sizeof time));
    fraction(out, distance % billion);
    if (style_ == TimeStyle::since_previous)
        reference_ = ts;
}

void Clock::fraction(Text& out, std::int64_t nanoseconds) const noexcept {
    out.put('.');
    if (nanoseconds_)
        out.decimal(static_cast<std::uint64_t>(nanoseconds), 9, '0');
    else
        out.decimal(static_cast<std::uint64_t>(nanoseconds / 1000), 6, '0');
}

} // namespace wirepath::decode
