// SPDX-License-Identifier: Apache-2.0
#include "linux/doorbell.hpp"

#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace wirepath {

void Doorbell::ring() noexcept {
    rings_.fetch_add(1, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) != 0)
        ::syscall(SYS_futex, &rings_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void Doorbell::wait(std::uint32_t seen, std::chrono::nanoseconds timeout) noexcept {
    const auto count = timeout.count();
    const timespec limit = {count / 1'000'000'000, count % 1'000'000'000};
    waiting_.fetch_add(1, std::memory_order_seq_cst);
    if (rings_.load(std::memory_order_seq_cst) == seen)
        ::syscall(SYS_futex, &rings_, FUTEX_WAIT_PRIVATE, seen, count < 0 ? nullptr : &limit, nullptr, 0);
    waiting_.fetch_sub(1, std::memory_order_seq_cst);
}

} // namespace wirepath
