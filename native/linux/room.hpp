// SPDX-License-Identifier: Apache-2.0
// How a sender waits when there is no room for its next frame.
#pragma once

#include <chrono>

#include "core/sender.hpp"
#include "linux/interrupt.hpp"

namespace wirepath {

class Room {
  public:
    explicit Room(Interrupt& interrupt) noexcept : interrupt_(interrupt) {}

    // Both: ok (try again), timeout or interrupted.
    Status wait(int fd, Deadline deadline, SendCounters& counters) noexcept; // until the descriptor takes more
    Status pause(Deadline deadline, SendCounters& counters) noexcept;        // for a moment: nobody will tell

    // A frame was refused for lack of room: whether to offer it again. After a tenth of a second in which no frame
    // found room the next ones have one chance each, since then it is not a full queue that refuses them.
    bool expected(SendCounters& counters) noexcept;
    void found() noexcept { refusing_ = false, given_up_ = false; }

  private:
    Interrupt& interrupt_;
    bool refusing_ = false, given_up_ = false;
    std::chrono::steady_clock::time_point since_{};
};

} // namespace wirepath
