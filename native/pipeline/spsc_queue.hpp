// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace wirepath {

// A bounded queue from one thread to one other, without locks.
template <typename T>
class SpscQueue {
  public:
    explicit SpscQueue(std::size_t capacity) : slots_(capacity + 1), items_(new T[slots_]) {}

    bool push(T item) noexcept {
        const std::size_t tail = tail_.load(std::memory_order_relaxed), next = after(tail);
        if (next == head_.load(std::memory_order_acquire))
            return false;
        items_[tail] = item;
        tail_.store(next, std::memory_order_release);
        return true;
    }

    bool pop(T& item) noexcept {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire))
            return false;
        item = items_[head];
        head_.store(after(head), std::memory_order_release);
        return true;
    }

  private:
    std::size_t after(std::size_t index) const noexcept { return index + 1 == slots_ ? 0 : index + 1; }

    const std::size_t slots_;
    const std::unique_ptr<T[]> items_;
    alignas(64) std::atomic<std::size_t> head_{0};
    alignas(64) std::atomic<std::size_t> tail_{0};
};

} // namespace wirepath
