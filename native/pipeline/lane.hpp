// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>

#include "filter/filtered_source.hpp"
#include "linux/doorbell.hpp"
#include "pipeline/spsc_queue.hpp"

namespace wirepath {

// One source among several, and the batches that travel between its thread and the writer's.
struct Lane {
    static constexpr std::size_t batches = 8;

    explicit Lane(FilteredSource& from) : source(from), full(batches), empty(batches) {
        for (Batch& batch : pool)
            empty.push(&batch);
    }

    bool awaited(std::chrono::nanoseconds window) noexcept;
    void give_back(Batch* batch) noexcept;

    FilteredSource& source;
    std::array<Batch, batches> pool;
    SpscQueue<Batch*> full, empty;
    Doorbell emptied;
    std::atomic<bool> ended{false};

    // The writer's own: the batch that it is in, and from when on it waits for one.
    Batch* head = nullptr;
    std::uint32_t row = 0;
    std::chrono::steady_clock::time_point silent_since{};
};

} // namespace wirepath
