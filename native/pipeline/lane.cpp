// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane.hpp"

namespace wirepath {

using Steady = std::chrono::steady_clock;

void Lane::give_back(Batch* batch) noexcept {
    batch->release(); // here, so that the ring gets its memory back as soon as it is written
    empty.push(batch);
    emptied.ring();
}

// Whether the merge must wait for this lane's next packet before it can write a later one of another.
bool Lane::awaited(std::chrono::nanoseconds window) noexcept {
    const bool over = ended.load(std::memory_order_acquire);
    const auto now = Steady::now();
    if (head == nullptr && full.pop(head)) {
        row = 0;
        silent_since = {};
    }
    if (head != nullptr || over)
        return false;
    if (silent_since == Steady::time_point{})
        silent_since = now;
    return source.is_file() || now - silent_since < window;
}

} // namespace wirepath
