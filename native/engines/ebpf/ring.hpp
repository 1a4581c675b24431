// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/batch.hpp"
#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/status.hpp"
#include "engines/ebpf/layout.h"

namespace wirepath::ebpf {

struct Geometry {
    std::uint32_t block_bytes, blocks;
    std::uint32_t lendable; // blocks that batches may hold at a time
};

// The engine's half of the ring that layout.h describes. Each CPU's blocks are read in the order in which it took them,
// and what several CPUs wrote comes in the order of its time. A block goes back to the programs when it was read to its
// end and no batch holds it any more, whatever becomes of those before it. Receiving thread only.
class Ring {
  public:
    // memory: the mapped blocks. The rest is the programs' state, which must outlive this. Throws Error.
    Ring(Mapping memory, free_blocks& free, cpu_state* cpus, std::uint32_t cpu_count, const Geometry& geometry);

    // What was let go since the last call goes back to the programs.
    void collect() noexcept;
    // Whether something is there.
    bool pending() noexcept;
    // Full blocks, or nearly so, that wait to be read.
    std::uint32_t waiting_blocks() const noexcept;

    // Packets whose time (CLOCK_MONOTONIC, ns) is not after `until`: that must be a time read before the call. Packets
    // that came one after the other, as those of one queue do, are then never seen without the one before, even if they
    // were received on different CPUs. timeout: there are none; no_buffer: views of earlier ones hold the memory.
    // Describe: Packet packet(const record&), its data left to us, and void add_extras(Batch&, row, const record&).
    template <typename Describe>
    Status deliver(Batch& into, std::uint64_t until, const Describe& describe) noexcept;

    // The programs' memory is mapped no more; leased blocks live on in memory of our own.
    void leave() noexcept;

    const CopyCount& copies() const noexcept { return copies_; }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    static constexpr std::uint32_t most_slots = 4096;
    static constexpr std::uint32_t most_held = 24; // blocks of one batch

    struct Cursor { // where the engine reads in a CPU's blocks
        std::uint32_t block = none, position = 0, end = 0;
    };
    struct Turn { // whose packets come next, and until when
        Cursor* cursor;
        std::uint64_t until;
    };
    struct Held { // what a batch has a lease on
        std::uint32_t count = 0;
        std::uint16_t blocks[most_held];
    };

    std::byte* base() const noexcept { return static_cast<std::byte*>(pool_->memory().data()); }
    std::byte* block(std::uint32_t index) const noexcept { return base() + std::size_t{index} * geometry_.block_bytes; }
    block_header& header(std::uint32_t index) const noexcept { return *reinterpret_cast<block_header*>(block(index)); }
    const record& next_of(const Cursor& at) const noexcept {
        return *reinterpret_cast<const record*>(block(at.block) + at.position);
    }
    static std::uint32_t bytes_of(const record& one) noexcept {
        return (static_cast<std::uint32_t>(sizeof(record)) + one.caplen + ebpf_alignment - 1) & ~(ebpf_alignment - 1U);
    }
    static std::span<const std::byte> payload_of(const record& one) noexcept {
        return {reinterpret_cast<const std::byte*>(&one + 1), one.caplen};
    }

    bool advance(Cursor& cursor, const cpu_state& cpu) noexcept;
    bool next_block(Cursor& cursor) noexcept;
    void enter(Cursor& cursor, std::uint32_t index) noexcept;
    void give_back(std::uint32_t index) noexcept;
    Turn next_turn(std::uint64_t until) noexcept;
    bool may_lend() const noexcept { return lent_ < geometry_.lendable && !free_slots_.empty(); }
    Lease begin_lending() noexcept;
    bool lend(std::uint32_t index) noexcept;
    bool make_room(std::size_t bytes) noexcept;

    template <typename Describe>
    void deliver_in_place(Batch& into, Turn turn, std::uint64_t until, const Describe& describe) noexcept;
    template <typename Describe>
    Status deliver_copies(Batch& into, Turn turn, std::uint64_t until, const Describe& describe) noexcept;

    Geometry geometry_;
    LeasePool::Ref pool_; // a slot a batch
    free_blocks& free_;
    cpu_state* cpus_;
    std::vector<Cursor> cursors_;      // a CPU each
    std::vector<std::uint32_t> holds_; // batches that have something of a block
    std::vector<bool> reading_;        // blocks that a cursor is in
    std::vector<Held> held_;           // by slot
    std::vector<std::uint32_t> free_slots_;
    std::uint32_t open_ = none; // the slot of the batch under way
    std::uint32_t lent_ = 0;    // blocks that batches hold
    std::uint32_t parked_ = 0;  // those of them that were read to their end
    std::uint32_t open_blocks_ = 0;
    BufferPool spill_pool_; // for copies while batches hold half of the blocks
    BufferPool::Buffer spill_;
    std::size_t spilled_ = 0; // bytes of it that are used
    CopyCount copies_;
};

template <typename Describe>
Status Ring::deliver(Batch& into, std::uint64_t until, const Describe& describe) noexcept {
    const Turn turn = next_turn(until);
    if (turn.cursor == nullptr)
        return Status::timeout;
    if (!may_lend())
        return deliver_copies(into, turn, until, describe);
    deliver_in_place(into, turn, until, describe);
    return Status::ok;
}

template <typename Describe>
void Ring::deliver_in_place(Batch& into, Turn turn, std::uint64_t until, const Describe& describe) noexcept {
    into.begin(base(), std::size_t{geometry_.blocks} * geometry_.block_bytes, begin_lending(), describe.extras);
    for (; turn.cursor != nullptr && !into.full() && lend(turn.cursor->block); turn = next_turn(until)) {
        Cursor& at = *turn.cursor;
        do {
            const record& one = next_of(at);
            __builtin_prefetch(reinterpret_cast<const std::byte*>(&one) + bytes_of(one));
            Packet packet = describe.packet(one);
            packet.data = payload_of(one);
            into.push(packet);
            describe.add_extras(into, into.size() - 1, one);
            at.position += bytes_of(one);
        } while (at.position != at.end && !into.full() && next_of(at).ts_monotonic_ns <= turn.until);
    }
}

template <typename Describe>
Status Ring::deliver_copies(Batch& into, Turn turn, std::uint64_t until, const Describe& describe) noexcept {
    if (!make_room(next_of(*turn.cursor).caplen))
        return Status::no_buffer;
    into.begin(spill_.data, spill_.size, spill_.lease, describe.extras);
    for (; turn.cursor != nullptr && !into.full(); turn = next_turn(until)) {
        Cursor& at = *turn.cursor;
        do {
            const record& one = next_of(at);
            if (spill_.size - spilled_ < one.caplen)
                return Status::ok;
            Packet packet = describe.packet(one);
            std::byte* to = spill_.data + spilled_;
            copy_payload(to, payload_of(one), copies_);
            packet.data = {to, one.caplen};
            into.push(packet);
            describe.add_extras(into, into.size() - 1, one);
            spilled_ += one.caplen;
            at.position += bytes_of(one);
        } while (at.position != at.end && !into.full() && next_of(at).ts_monotonic_ns <= turn.until);
    }
    return Status::ok;
}

} // namespace wirepath::ebpf
