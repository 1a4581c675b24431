// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace wirepath {

// One thread waits, others ring (futex(2)). A ring between looking for work and waiting is not lost:
//   const auto seen = bell.seen(); if (no work) bell.wait(seen, timeout);
class Doorbell {
  public:
    std::uint32_t seen() const noexcept { return rings_.load(std::memory_order_acquire); }
    void ring() noexcept;
    // Returns at a ring since `seen`, a signal, or the timeout; below zero waits without end.
    void wait(std::uint32_t seen, std::chrono::nanoseconds timeout) noexcept;

  private:
    std::atomic<std::uint32_t> rings_{0};
    std::atomic<std::uint32_t> waiting_{0}; // nobody waits: ringing costs no system call
};

} // namespace wirepath
