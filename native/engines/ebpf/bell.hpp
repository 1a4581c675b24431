// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <sys/mman.h>
#include <unistd.h>

#include "linux/mapping.hpp"

namespace wirepath::ebpf {

// How a BPF program wakes a thread: it can write to no eventfd, but who polls a BPF ring buffer sees what it puts in.
class Bell {
  public:
    Bell() = default;
    // ring_buffer: the descriptor of the map; armed: the word that says whether a program is to ring. Throws Error.
    Bell(int ring_buffer, std::uint32_t& armed)
        : fd_(ring_buffer), armed_(&armed), consumed_(Mapping::of_fd(ring_buffer, page())),
          produced_(Mapping::read_only(ring_buffer, page(), static_cast<off_t>(page()))) {
        consumed_.keep_from_children();
        produced_.keep_from_children();
    }

    // Readable once it has rung.
    int fd() const noexcept { return fd_; }
    // Silent until a program rings; then, to see what came before this, look once more.
    void arm() noexcept {
        const std::uint64_t rung = position(produced_).load(std::memory_order_acquire);
        if (position(consumed_).load(std::memory_order_relaxed) != rung)
            position(consumed_).store(rung, std::memory_order_release);
        std::atomic_ref(*armed_).store(1, std::memory_order_seq_cst);
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    void disarm() noexcept { std::atomic_ref(*armed_).store(0, std::memory_order_relaxed); }
    void unmap(bool in_child) noexcept {
        if (in_child)
            consumed_.forget(), produced_.forget(); // they were kept from this process
        const Mapping first = std::move(consumed_), second = std::move(produced_);
    }

  private:
    static std::size_t page() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }
    static std::atomic_ref<std::uint64_t> position(const Mapping& page) noexcept {
        return std::atomic_ref(*static_cast<std::uint64_t*>(page.data()));
    }
    int fd_ = -1;
    std::uint32_t* armed_ = nullptr;
    Mapping consumed_, produced_; // the pages with the two positions
};

} // namespace wirepath::ebpf
