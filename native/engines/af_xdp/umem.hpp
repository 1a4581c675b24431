// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/lease.hpp"
#include "engines/af_xdp/settings.hpp"

namespace wirepath::af_xdp {

// The frames that the kernel or the NIC writes packets into, and which of them a batch holds. A lease covers the frames
// of one batch; they come back together, through collect(). Receiving thread only; the memory itself lives as long as
// the last lease.
class Umem {
  public:
    explicit Umem(const Settings& settings); // throws Error

    std::byte* base() noexcept { return static_cast<std::byte*>(pool_->memory().data()); }
    std::size_t bytes() const noexcept { return std::size_t{frames_} << shift_; }
    std::uint32_t frames() const noexcept { return frames_; }
    std::uint32_t frame_size() const noexcept { return 1U << shift_; }
    std::uint32_t leased() const noexcept { return leased_; }

    std::uint64_t frame_of(std::uint64_t address) const noexcept { return address >> shift_ << shift_; }

    // How many frames the next batch may hold: half of them always stay for the kernel.
    std::uint32_t lendable() const noexcept { return free_slots_.empty() ? 0 : frames_ / 2 - leased_; }
    // Begins a batch of at least one frame. lend() adds the frame of a descriptor's address to it, unless a batch has
    // it already: the driver has handed it over twice then.
    Lease begin_batch() noexcept;
    bool lend(std::uint64_t address) noexcept;

    // Calls give_back(address) for each frame whose batch was let go.
    template <typename F>
    void collect(F&& give_back) noexcept {
        pool_->collect([&](std::uint32_t slot) {
            for (std::uint32_t frame = first_[slot]; frame != none; --leased_) {
                give_back(std::uint64_t{frame} << shift_);
                frame = std::exchange(next_[frame], not_lent);
            }
            first_[slot] = none;
            free_slots_.push_back(slot);
        });
    }

    // Gives the pages that no lease needs back to the system. The kernel must have left the umem.
    void trim() noexcept;

  private:
    static constexpr std::uint32_t none = UINT32_MAX, not_lent = none - 1;
    static constexpr std::uint32_t most_slots = 4096;

    std::uint32_t frames_, shift_;
    std::size_t page_;
    bool huge_pages_;
    LeasePool::Ref pool_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::uint32_t> first_; // of a slot's frames
    std::vector<std::uint32_t> next_;  // of a frame
    std::vector<bool> kept_;           // trim()'s, by page
    std::uint32_t open_ = none;        // the slot under construction
    std::uint32_t leased_ = 0;
};

} // namespace wirepath::af_xdp
