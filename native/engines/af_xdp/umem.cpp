// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/umem.hpp"

#include <algorithm>
#include <bit>
#include <sys/mman.h>
#include <unistd.h>

namespace wirepath::af_xdp {
namespace {

Mapping memory_for(const Settings& settings) {
    const std::size_t bytes = std::size_t{settings.frames} * settings.frame_size;
    Mapping memory = settings.huge_pages ? Mapping::huge_pages(bytes) : Mapping::anonymous(bytes);
    // A page of 4 KiB for every other packet is a miss in the TLB for each, and all of it will be pinned anyway.
    ::madvise(memory.data(), memory.size(), MADV_HUGEPAGE);
    memory.keep_from_children();
    return memory;
}

} // namespace

Umem::Umem(const Settings& settings)
    : frames_(settings.frames), shift_(static_cast<std::uint32_t>(std::countr_zero(settings.frame_size))),
      page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))), huge_pages_(settings.huge_pages),
      pool_(LeasePool::create(std::min(most_slots, frames_ / 2), memory_for(settings))) {
    const std::uint32_t slots = std::min(most_slots, frames_ / 2);
    first_.assign(slots, none);
    next_.assign(frames_, not_lent);
    kept_.assign(pool_->memory().size() / page_, false);
    free_slots_.reserve(slots);
    for (std::uint32_t slot = slots; slot-- > 0;)
        free_slots_.push_back(slot);
}

Lease Umem::begin_batch() noexcept {
    open_ = free_slots_.back();
    free_slots_.pop_back();
    first_[open_] = none;
    return pool_->take(open_);
}

bool Umem::lend(std::uint64_t address) noexcept {
    const auto frame = static_cast<std::uint32_t>(address >> shift_);
    if (next_[frame] != not_lent)
        return false;
    next_[frame] = first_[open_];
    first_[open_] = frame;
    ++leased_;
    return true;
}

void Umem::trim() noexcept {
    collect([](std::uint64_t) {});
    if (huge_pages_)
        return;
    for (const std::uint32_t first : first_)
        for (std::uint32_t frame = first; frame != none; frame = next_[frame])
            kept_[(std::size_t{frame} << shift_) / page_] = true;
    for (auto from = kept_.begin(); from != kept_.end();) {
        const auto to = std::find(from, kept_.end(), true);
        ::madvise(base() + static_cast<std::size_t>(from - kept_.begin()) * page_,
                  static_cast<std::size_t>(to - from) * page_, MADV_DONTNEED);
        from = std::find(to, kept_.end(), false);
    }
}

} // namespace wirepath::af_xdp
