// SPDX-License-Identifier: Apache-2.0
// A ring of blocks that the kernel fills and this process reads in place (Linux: networking/packet_mmap.rst).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/lease.hpp"
#include "core/options.hpp"
#include "core/status.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath::tpacket_v3 {

struct Geometry {
    std::size_t block_bytes;
    std::uint32_t blocks, timeout_ms;
};

inline constexpr OptionSpec block_size_option{
    "block_size", OptionSpec::Kind::integer, "bytes", "512k",
    "a block of the ring: the kernel hands packets over by the block; it must hold the largest packet"};
inline constexpr OptionSpec block_nr_option{"block_nr", OptionSpec::Kind::integer, "blocks", "64",
                                            "blocks in the ring, 2 at least"};
inline constexpr OptionSpec block_timeout_option{
    "block_timeout_ms", OptionSpec::Kind::integer, "ms", "8",
    "after this long a block is handed over though it is not full: the latency of idle traffic"};

Geometry geometry_of(const Options& given, std::uint32_t snaplen); // throws Error

// Packets that the kernel handed over together, in the ring or copied out of it, and what keeps them in memory.
struct Block {
    std::byte* data = nullptr;
    std::uint32_t bytes = 0;   // that are in use
    std::uint32_t first = 0;   // offset of the first packet's tpacket3_hdr
    std::uint32_t packets = 0; // left to be read
    Lease lease;
};

class Ring {
  public:
    Ring(PacketSocket& socket, const Geometry& geometry); // throws Error

    // What was let go since the last call goes back to the kernel.
    void collect() noexcept;
    // The next block. timeout: the kernel has not finished it. no_buffer: views of earlier packets hold the memory.
    Status take(Block& into) noexcept;
    // The socket's memory is mapped no more; leased blocks live on in memory of our own. Then the socket may close.
    void leave() noexcept;

    const CopyCount& copies() const noexcept { return copies_; }

  private:
    // Each block has two places in our memory. The ring is at one of them; the other is free, or holds a copy for views
    // that outlast the block's turn.
    using Place = std::uint32_t; // 0 or 1
    std::uint32_t slot(Place place, std::uint32_t index) const noexcept { return place * geometry_.blocks + index; }
    std::byte* at(std::uint32_t slot) const noexcept { return base_ + slot * geometry_.block_bytes; }
    std::byte* block(std::uint32_t index) const noexcept { return at(slot(ring_at_[index], index)); }
    bool handed_over(std::uint32_t index) const noexcept;
    void give_back(std::uint32_t index) noexcept;
    bool may_lend(std::uint32_t index) const noexcept;
    bool copy_out(Block& block) noexcept;
    void make_way(std::uint32_t index) noexcept;
    bool move_ring_block(std::uint32_t index, std::byte* to) noexcept;
    void count_copy(std::byte* to, std::byte* block) noexcept;

    Geometry geometry_;
    int fd_;
    LeasePool::Ref pool_; // a slot a place
    std::byte* base_;
    std::vector<std::uint8_t> ring_at_; // the place of each block
    std::uint32_t next_ = 0;
    std::uint32_t lent_ = 0; // slots that views hold
    BufferPool spill_pool_;  // for copies of blocks while views hold much of the ring
    BufferPool::Buffer spill_;
    std::size_t spilled_ = 0; // bytes of it that are used
    CopyCount copies_;
};

} // namespace wirepath::tpacket_v3
