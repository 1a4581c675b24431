// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/ring.hpp"

#include <cstring>

namespace wirepath::ebpf {
namespace {

constexpr std::uint32_t fewest_spill_buffers = 16;

template <typename T>
T acquire(T& shared) noexcept {
    return std::atomic_ref(shared).load(std::memory_order_acquire);
}

} // namespace

Ring::Ring(Mapping memory, free_blocks& free, cpu_state* cpus, std::uint32_t cpu_count, const Geometry& geometry)
    : geometry_(geometry), pool_(LeasePool::create(most_slots, std::move(memory))), free_(free), cpus_(cpus),
      cursors_(cpu_count), holds_(geometry.blocks), reading_(geometry.blocks), held_(most_slots),
      spill_pool_(std::max(geometry.blocks, fewest_spill_buffers), geometry.block_bytes) {
    free_slots_.reserve(most_slots);
    for (std::uint32_t slot = most_slots; slot-- > 0;)
        free_slots_.push_back(slot);
    for (std::uint32_t index = 0; index < geometry.blocks; ++index)
        give_back(index);
}

// The programs see the entry only after the block is as they expect it.
void Ring::give_back(std::uint32_t index) noexcept {
    header(index) = {sizeof(block_header), 0};
    const std::uint32_t number = free_.put;
    const std::uint64_t entry = std::uint64_t{number + 1} << 32 | index;
    std::atomic_ref(free_.entries[number % ebpf_most_blocks]).store(entry, std::memory_order_release);
    std::atomic_ref(free_.put).store(number + 1, std::memory_order_release);
}

void Ring::collect() noexcept {
    pool_->collect([this](std::uint32_t slot) {
        Held& held = held_[slot];
        for (std::uint32_t i = 0; i < held.count; ++i) {
            const std::uint32_t index = held.blocks[i];
            if (--holds_[index] != 0)
                continue;
            --lent_;
            if (!reading_[index]) {
                --parked_;
                give_back(index);
            }
        }
        held.count = 0;
        free_slots_.push_back(slot);
    });
}

void Ring::enter(Cursor& cursor, std::uint32_t index) noexcept {
    cursor = {index, sizeof(block_header), sizeof(block_header)};
    reading_[index] = true;
    ++open_blocks_;
}

// Of a block that was read to its end. False: its CPU still fills it.
bool Ring::next_block(Cursor& cursor) noexcept {
    const std::uint32_t next = acquire(header(cursor.block).next);
    cursor.end = acquire(header(cursor.block).used); // in this order: after `next` it does not change any more
    if (cursor.position != cursor.end)
        return true;
    if (next == 0)
        return false;
    reading_[cursor.block] = false;
    --open_blocks_;
    if (holds_[cursor.block] == 0)
        give_back(cursor.block);
    else
        ++parked_;
    enter(cursor, next - 1);
    return true;
}

// Whether there is a packet at the cursor.
bool Ring::advance(Cursor& cursor, const cpu_state& cpu) noexcept {
    if (cursor.block == none) {
        const std::uint32_t first = std::atomic_ref(const_cast<unsigned&>(cpu.first)).load(std::memory_order_acquire);
        if (first == 0)
            return false;
        enter(cursor, first - 1);
    }
    while (cursor.position == cursor.end)
        if (!next_block(cursor))
            return false;
    return true;
}

bool Ring::pending() noexcept {
    for (std::uint32_t cpu = 0; cpu < cursors_.size(); ++cpu)
        if (advance(cursors_[cpu], cpus_[cpu]))
            return true;
    return false;
}

std::uint32_t Ring::waiting_blocks() const noexcept {
    const std::uint32_t free = free_.put - acquire(free_.taken);
    const std::uint32_t known = std::min(geometry_.blocks, free + parked_ + open_blocks_);
    return geometry_.blocks - known;
}

Ring::Turn Ring::next_turn(std::uint64_t until) noexcept {
    Turn turn{nullptr, until};
    std::uint64_t earliest = until;
    for (std::uint32_t cpu = 0; cpu < cursors_.size(); ++cpu) {
        Cursor& cursor = cursors_[cpu];
        if (!advance(cursor, cpus_[cpu]))
            continue;
        const std::uint64_t ts = next_of(cursor).ts_monotonic_ns;
        if (ts > until)
            continue;
        if (turn.cursor == nullptr || ts < earliest) {
            if (turn.cursor != nullptr)
                turn.until = earliest;
            turn.cursor = &cursor;
            earliest = ts;
        } else {
            turn.until = std::min(turn.until, ts);
        }
    }
    return turn;
}

Lease Ring::begin_lending() noexcept {
    open_ = free_slots_.back();
    free_slots_.pop_back();
    return pool_->take(open_);
}

// Has the batch under way hold a block. False: not in this batch.
bool Ring::lend(std::uint32_t index) noexcept {
    Held& held = held_[open_];
    const auto* last = held.blocks + held.count;
    if (std::find(static_cast<const std::uint16_t*>(held.blocks), last, index) != last)
        return true;
    if (held.count == most_held || (holds_[index] == 0 && lent_ == geometry_.lendable))
        return false;
    if (holds_[index]++ == 0)
        ++lent_;
    held.blocks[held.count++] = static_cast<std::uint16_t>(index);
    return true;
}

// What idle traffic left is copied into one buffer until that is full.
bool Ring::make_room(std::size_t bytes) noexcept {
    if (spill_.data != nullptr && spill_.size - spilled_ >= bytes)
        return true;
    spilled_ = 0;
    spill_ = {};
    return spill_pool_.take(spill_);
}

void Ring::leave() noexcept {
    spill_ = {};
    pool_->memory().replace([this](void* fresh) {
        for (std::uint32_t index = 0; index < geometry_.blocks; ++index)
            if (holds_[index] != 0)
                std::memcpy(static_cast<std::byte*>(fresh) + std::size_t{index} * geometry_.block_bytes, block(index),
                            acquire(header(index).used));
    });
}

} // namespace wirepath::ebpf
