// SPDX-License-Identifier: Apache-2.0
// Receiving a batch and giving its memory back are two acts. A Lease pins one piece of a source's memory (a ring block,
// a set of UMEM frames, a copy buffer) until the last view of it is gone, on whichever thread that happens.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "linux/fork_guard.hpp"
#include "linux/mapping.hpp"

namespace wirepath {

class LeasePool;

struct LeaseSlot {
    std::atomic<std::uint32_t> holders{0};
    LeaseSlot* next = nullptr; // in the return stack
    LeasePool* pool = nullptr;
    std::uint32_t index = 0;
};

class Lease {
  public:
    Lease() noexcept = default;
    Lease(const Lease& other) noexcept;
    Lease(Lease&& other) noexcept : slot_(other.slot_) { other.slot_ = nullptr; }
    Lease& operator=(Lease other) noexcept;
    ~Lease() { reset(); }

    void reset() noexcept;
    explicit operator bool() const noexcept { return slot_ != nullptr; }

  private:
    friend class LeasePool;
    explicit Lease(LeaseSlot* held) noexcept : slot_(held) {}
    LeaseSlot* slot_ = nullptr;
};

// The slots over one mapping, and the way back. The source's receiving thread takes and collects; anyone lets go.
// Lives until both the source and the last lease are gone, and unmaps the memory then.
class LeasePool {
  public:
    struct Unref {
        void operator()(LeasePool* pool) const noexcept { pool->unref(); }
    };
    using Ref = std::unique_ptr<LeasePool, Unref>;

    // Throws Error.
    static Ref create(std::uint32_t slots, Mapping memory);

    // A lease on a slot that is free now.
    Lease take(std::uint32_t index) noexcept;

    // Calls give_back(index) for each slot that was let go since the last call.
    template <typename F>
    void collect(F&& give_back) noexcept {
        if (returned_.load(std::memory_order_relaxed) == nullptr)
            return;
        for (LeaseSlot* slot = returned_.exchange(nullptr, std::memory_order_acquire); slot != nullptr;) {
            LeaseSlot* next = slot->next; // give_back may take the slot again
            give_back(slot->index);
            slot = next;
        }
    }

    Mapping& memory() noexcept { return memory_; }
    bool held(std::uint32_t index) const noexcept { return slots_[index].holders.load(std::memory_order_acquire) != 0; }
    const ForkGuard& fork_guard() const noexcept { return fork_guard_; }

  private:
    friend class Lease;
    LeasePool(std::uint32_t slots, Mapping memory);
    void put(LeaseSlot* slot) noexcept;
    void unref() noexcept;

    Mapping memory_;
    ForkGuard fork_guard_;
    std::unique_ptr<LeaseSlot[]> slots_;
    std::atomic<LeaseSlot*> returned_{nullptr};
    std::atomic<std::uint32_t> refs_{1};
};

} // namespace wirepath
