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
    "block_timeout_ms", OptionSpec::Kind::integer, "ms", "5",
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
    std::byte* block(std::uint32_t index) const noexcept { return base_ + index * geometry_.block_bytes; }
    bool handed_over(std::uint32_t index) const noexcept;
    void give_back(std::uint32_t index) noexcept;
    bool copy_out(Block& into) noexcept;

    Geometry geometry_;
    LeasePool::Ref pool_; // a slot a block
    std::byte* base_;
    std::uint32_t next_ = 0;
    std::uint32_t held_ = 0; // blocks that were taken and not given back
    BufferPool spill_;
    CopyCount copies_;
};

} // namespace wirepath::tpacket_v3
