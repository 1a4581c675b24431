// SPDX-License-Identifier: Apache-2.0
#include "linux/room.hpp"

#include <algorithm>

namespace wirepath {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr auto patience = 100ms;
constexpr nanoseconds moment = 50us;   // in which a queue of the kernel's gets some hundred frames shorter
constexpr nanoseconds longest = 100ms; // of a wait whose end may be missed

// Below zero: the time is up.
nanoseconds left_until(Deadline deadline, nanoseconds most) noexcept {
    if (deadline == no_deadline)
        return most;
    return std::min<nanoseconds>(deadline - steady_clock::now(), most);
}

} // namespace

Status Room::wait(int fd, Deadline deadline, SendCounters& counters) noexcept {
    const nanoseconds left = left_until(deadline, longest);
    if (left <= 0ns)
        return Status::timeout;
    counters.waits.add(1);
    short events = 0;
    const Status status = interrupt_.wait(fd, left, events, POLLOUT);
    return status == Status::interrupted ? status : Status::ok; // the caller tries, and comes back
}

Status Room::pause(Deadline deadline, SendCounters& counters) noexcept {
    const nanoseconds left = left_until(deadline, moment);
    if (left <= 0ns)
        return Status::timeout;
    counters.waits.add(1);
    const Status status = interrupt_.pause(left);
    return status == Status::interrupted ? status : Status::ok;
}

bool Room::expected(SendCounters& counters) noexcept {
    const auto now = steady_clock::now();
    if (!refusing_)
        refusing_ = true, since_ = now;
    given_up_ |= now - since_ > patience;
    if (given_up_)
        return false;
    counters.retries.add(1);
    return true;
}

} // namespace wirepath
