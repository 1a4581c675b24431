// SPDX-License-Identifier: Apache-2.0
// When each frame is due. One pacing for all senders.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/packet.hpp"
#include "core/sender.hpp"

namespace wirepath {

struct Pace {
    enum class Kind { top, recorded, frames, bits };
    Kind kind = Kind::recorded;
    double value = 1; // times as fast as recorded; frames or bits a second

    bool any() const noexcept { return kind != Kind::top; }
};

class Pacer {
  public:
    using Time = std::chrono::steady_clock::time_point;

    explicit Pacer(Pace pace) noexcept : pace_(pace) {}

    void begin(Time now) noexcept { begin_ = now; }
    // Of the frame that comes next. Not to be asked of Kind::top.
    Time due(const Packet& packet) noexcept {
        switch (pace_.kind) {
        case Pace::Kind::frames:
            return after(static_cast<double>(frames_) / pace_.value);
        case Pace::Kind::bits:
            return after(static_cast<double>(bytes_) * 8 / pace_.value);
        default:
            return after(recorded(packet) / (pace_.value * 1e9));
        }
    }
    // That frame is on its way; the next one comes.
    void pass(const Packet& packet) noexcept {
        if (has_time(packet)) {
            if (times_++ == 0)
                first_ts_ = packet.ts;
            last_ts_ = std::max(last_ts_, packet.ts);
        }
        ++frames_;
        bytes_ += bytes_to_send(packet);
    }
    // Everything once more: its first frame comes a mean gap after the last one.
    void next_pass() noexcept {
        if (times_ == 0)
            return;
        const std::int64_t span = last_ts_ - first_ts_;
        offset_ns_ += static_cast<double>(span);
        if (times_ > 1)
            offset_ns_ += static_cast<double>(span) / static_cast<double>(times_ - 1);
        times_ = 0;
        last_ts_ = INT64_MIN;
    }

  private:
    static bool has_time(const Packet& packet) noexcept { return (packet.flags & flag_no_ts) == 0; }

    double recorded(const Packet& packet) const noexcept {
        if (times_ == 0)
            return offset_ns_;
        return offset_ns_ + static_cast<double>((has_time(packet) ? packet.ts : last_ts_) - first_ts_);
    }
    Time after(double seconds) const noexcept {
        constexpr double most = 9e8; // s: what a clock of 64 bits still holds
        return begin_ + std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(seconds, most) * 1e9));
    }

    const Pace pace_;
    Time begin_{};
    std::uint64_t frames_ = 0, bytes_ = 0, times_ = 0;
    std::int64_t first_ts_ = 0, last_ts_ = INT64_MIN;
    double offset_ns_ = 0; // of this pass
};

} // namespace wirepath
