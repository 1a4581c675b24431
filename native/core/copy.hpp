// SPDX-License-Identifier: Apache-2.0
// Every copy of payload that the core itself makes goes through here, so that it can be reported as measured.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace wirepath {

// Written by one thread, read by any.
class Counter {
  public:
    void add(std::uint64_t n) noexcept { value_.store(get() + n, std::memory_order_relaxed); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct CopyCount {
    Counter packets, bytes;
};

inline void copy_payload(std::byte* to, std::span<const std::byte> from, CopyCount& count) noexcept {
    std::memmove(to, from.data(), from.size()); // a buffer may be read on into itself
    count.packets.add(1);
    count.bytes.add(from.size());
}

} // namespace wirepath
