// SPDX-License-Identifier: Apache-2.0
#include "core/lease.hpp"

#include <utility>

namespace wirepath {

Lease::Lease(const Lease& other) noexcept : slot_(other.slot_) {
    if (slot_ != nullptr)
        slot_->holders.fetch_add(1, std::memory_order_relaxed);
}

Lease& Lease::operator=(Lease other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
}

void Lease::reset() noexcept {
    LeaseSlot* slot = std::exchange(slot_, nullptr);
    if (slot == nullptr || slot->pool->fork_guard().in_child())
        return; // a child's leases are its parent's to give back
    if (slot->holders.fetch_sub(1, std::memory_order_acq_rel) == 1)
        slot->pool->put(slot);
}

LeasePool::LeasePool(std::uint32_t slots, Mapping memory)
    : memory_(std::move(memory)), slots_(std::make_unique<LeaseSlot[]>(slots)) {
    for (std::uint32_t i = 0; i < slots; ++i) {
        slots_[i].pool = this;
        slots_[i].index = i;
    }
}

LeasePool::Ref LeasePool::create(std::uint32_t slots, Mapping memory) {
    return Ref(new LeasePool(slots, std::move(memory)));
}

Lease LeasePool::take(std::uint32_t index) noexcept {
    refs_.fetch_add(1, std::memory_order_relaxed);
    slots_[index].holders.store(1, std::memory_order_relaxed);
    return Lease(&slots_[index]);
}

void LeasePool::put(LeaseSlot* slot) noexcept {
    LeaseSlot* top = returned_.load(std::memory_order_relaxed);
    do
        slot->next = top;
    while (!returned_.compare_exchange_weak(top, slot, std::memory_order_release, std::memory_order_relaxed));
    unref();
}

void LeasePool::unref() noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    if (fork_guard_.in_child())
        memory_.forget(); // what MADV_DONTFORK kept out of this process is not ours to unmap
    delete this;
}

} // namespace wirepath
