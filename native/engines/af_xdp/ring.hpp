// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <linux/if_xdp.h>
#include <utility>

#include "linux/mapping.hpp"

namespace wirepath::af_xdp {

// Our end of one of the rings that <linux/if_xdp.h> describes: a power of two of entries, and two counters that run
// freely, one written by us and one by the kernel.
template <typename Entry>
class Ring {
  public:
    Ring() = default;
    Ring(int fd, std::uint64_t page_offset, std::uint32_t entries, const xdp_ring_offset& at)
        : memory_(Mapping::of_fd(fd, at.desc + entries * sizeof(Entry), static_cast<off_t>(page_offset))),
          producer_(word(at.producer)), consumer_(word(at.consumer)), flags_(word(at.flags)),
          entries_(reinterpret_cast<Entry*>(bytes() + at.desc)), mask_(entries - 1) {
        memory_.keep_from_children();
    }

    Entry& at(std::uint32_t index) noexcept { return entries_[index & mask_]; }
    void unmap(bool in_child) noexcept {
        if (in_child)
            memory_.forget(); // it was kept from this process
        const Mapping gone = std::move(memory_);
    }

  protected:
    std::uint32_t produced() const noexcept { return std::atomic_ref(*producer_).load(std::memory_order_acquire); }
    std::uint32_t consumed() const noexcept { return std::atomic_ref(*consumer_).load(std::memory_order_acquire); }
    void produce(std::uint32_t value) noexcept { std::atomic_ref(*producer_).store(value, std::memory_order_release); }
    void consume(std::uint32_t value) noexcept { std::atomic_ref(*consumer_).store(value, std::memory_order_release); }
    std::uint32_t flags() const noexcept { return std::atomic_ref(*flags_).load(std::memory_order_relaxed); }

  private:
    std::byte* bytes() const noexcept { return static_cast<std::byte*>(memory_.data()); }
    std::uint32_t* word(std::uint64_t offset) const noexcept {
        return reinterpret_cast<std::uint32_t*>(bytes() + offset);
    }

    Mapping memory_;
    std::uint32_t *producer_ = nullptr, *consumer_ = nullptr, *flags_ = nullptr;
    Entry* entries_ = nullptr;
    std::uint32_t mask_ = 0;
};

// The kernel produces, we consume.
template <typename Entry>
class ConsumedRing : public Ring<Entry> {
  public:
    using Ring<Entry>::Ring;
    // Descriptors that wait; the first is at(next()). Looks at the kernel's counter only when `wanted` are not known
    // of.
    std::uint32_t available(std::uint32_t wanted) noexcept {
        if (known_ - next_ < wanted)
            known_ = this->produced();
        return known_ - next_;
    }
    std::uint32_t next() const noexcept { return next_; }
    std::uint32_t end() const noexcept { return this->produced(); } // from any thread
    void release(std::uint32_t count) noexcept { this->consume(next_ += count); }

  private:
    std::uint32_t next_ = 0, known_ = 0;
};
using ReceiveRing = ConsumedRing<xdp_desc>;
using CompletionRing = ConsumedRing<std::uint64_t>;

// We produce, the kernel consumes. It has room for every frame there is, so it is never full.
class FillRing : public Ring<std::uint64_t> {
  public:
    using Ring::Ring;
    void push(std::uint64_t frame) noexcept { at(next_++) = frame; }
    void submit() noexcept { produce(next_); }
    std::uint32_t pushed() const noexcept { return next_; }
    bool needs_wakeup() const noexcept { return (flags() & XDP_RING_NEED_WAKEUP) != 0; }

  private:
    std::uint32_t next_ = 0;
};

// We produce, the kernel consumes; it may be full.
class TransmitRing : public Ring<xdp_desc> {
  public:
    using Ring::Ring;
    void push(const xdp_desc& descriptor) noexcept { at(next_++) = descriptor; }
    void submit() noexcept { produce(next_); }
    // Those that the kernel has not taken; it looks at them in send(2) only, unless it sends with zero-copy.
    std::uint32_t waiting() const noexcept { return next_ - consumed(); }
    const xdp_desc& take_back() noexcept { return at(--next_); } // the last one; then submit()
    bool needs_wakeup() const noexcept { return (flags() & XDP_RING_NEED_WAKEUP) != 0; }

  private:
    std::uint32_t next_ = 0;
};

} // namespace wirepath::af_xdp
