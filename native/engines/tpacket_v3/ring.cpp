// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/ring.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <linux/if_packet.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.hpp"
#include "linux/memory.hpp"

namespace wirepath::tpacket_v3 {
namespace {

// What a block holds beside one packet's bytes: its own header, the packet's, the padding that aligns its IP header.
constexpr std::uint32_t overhead = 256;
constexpr std::uint32_t fewest_spill_buffers = 16;

tpacket_hdr_v1& header_of(std::byte* block) noexcept { return reinterpret_cast<tpacket_block_desc*>(block)->hdr.bh1; }

Mapping make_ring(PacketSocket& socket, const Geometry& geometry) {
    socket.set(PACKET_VERSION, int{TPACKET_V3}, "choosing the ring's version");
    if (socket.clock() != Clock::host)
        socket.set(
            PACKET_TIMESTAMP,
            int{socket.clock() == Clock::adapter ? SOF_TIMESTAMPING_SYS_HARDWARE : SOF_TIMESTAMPING_RAW_HARDWARE},
            "asking for timestamps");
    tpacket_req3 request{};
    request.tp_block_size = static_cast<std::uint32_t>(geometry.block_bytes);
    request.tp_block_nr = geometry.blocks;
    request.tp_frame_size = request.tp_block_size; // without a meaning in version 3, but the kernel checks it
    request.tp_frame_nr = geometry.blocks;
    request.tp_retire_blk_tov = geometry.timeout_ms;
    socket.set(PACKET_RX_RING, request, "making a ring");
    const std::size_t bytes = geometry.block_bytes * geometry.blocks;
    Mapping mapping = Mapping::anonymous(2 * bytes);
    if (::mmap(mapping.data(), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, socket.fd(), 0) == MAP_FAILED)
        throw Error::from_errno("mapping a ring of " + std::to_string(bytes) + " bytes", errno);
    mapping.keep_from_children();
    return mapping;
}

} // namespace

Geometry geometry_of(const Options& given, std::uint32_t snaplen) {
    const std::int64_t size = given.integer("block_size"), blocks = given.integer("block_nr"),
                       timeout = given.integer("block_timeout_ms"), page = ::sysconf(_SC_PAGESIZE);
    const auto bad = [](const std::string& name, std::int64_t value, const std::string& hint) {
        return Error(Code::bad_option, name + " cannot be " + std::to_string(value), 0, hint);
    };
    const std::uint32_t need = snaplen + overhead;
    if (size % page != 0 || size < page || size > (std::int64_t{1} << 30))
        throw bad("block_size", size, "It is a multiple of the page size, " + std::to_string(page) + ", up to 1G");
    if (size < need)
        throw bad("block_size", size,
                  "A packet of snaplen " + std::to_string(snaplen) + " would not fit: choose block_size " +
                      std::to_string(std::bit_ceil(need)) + ", or snaplen " +
                      std::to_string(size - static_cast<std::int64_t>(overhead)) + " or less");
    if (blocks < 2 || blocks > 65536)
        throw bad("block_nr", blocks, "A ring has 2 to 65536 blocks");
    if (timeout < 1 || timeout > 60'000)
        throw bad("block_timeout_ms", timeout, "It is 1 to 60000 ms");
    check_ring_memory(static_cast<std::uint64_t>(size * blocks * given.integer("fanout")), "block_nr");
    return {static_cast<std::size_t>(size), static_cast<std::uint32_t>(blocks), static_cast<std::uint32_t>(timeout)};
}

Ring::Ring(PacketSocket& socket, const Geometry& geometry)
    : geometry_(geometry), fd_(socket.fd()), pool_(LeasePool::create(2 * geometry.blocks, make_ring(socket, geometry))),
      base_(static_cast<std::byte*>(pool_->memory().data())), ring_at_(geometry.blocks),
      spill_pool_(std::max(geometry.blocks, fewest_spill_buffers), geometry.block_bytes) {}

bool Ring::handed_over(std::uint32_t index) const noexcept {
    const std::atomic_ref status(header_of(block(index)).block_status);
    return (status.load(std::memory_order_acquire) & TP_STATUS_USER) != 0;
}

void Ring::give_back(std::uint32_t index) noexcept {
    const std::atomic_ref status(header_of(block(index)).block_status);
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
}

void Ring::collect() noexcept {
    pool_->collect([this](std::uint32_t returned) {
        const std::uint32_t index = returned % geometry_.blocks;
        --lent_;
        if (returned == slot(ring_at_[index], index))
            give_back(index);
        else
            ::madvise(at(returned), geometry_.block_bytes, MADV_DONTNEED);
    });
}

// Half of the ring at the most, and a block only if its other place is free: there it goes if its turn comes again.
bool Ring::may_lend(std::uint32_t index) const noexcept {
    return lent_ < geometry_.blocks / 2 && !pool_->held(slot(1 - ring_at_[index], index));
}

Status Ring::take(Block& into) noexcept {
    make_way((next_ + geometry_.blocks / 4) % geometry_.blocks);
    if (pool_->held(slot(ring_at_[next_], next_)))
        return Status::no_buffer;
    if (!handed_over(next_))
        return Status::timeout;
    const tpacket_hdr_v1& header = header_of(block(next_));
    Block taken{block(next_), header.blk_len, header.offset_to_first_pkt, header.num_pkts, {}};
    if (may_lend(next_)) {
        taken.lease = pool_->take(slot(ring_at_[next_], next_));
        ++lent_;
    } else {
        if (!copy_out(taken))
            return Status::no_buffer;
        give_back(next_);
    }
    into = std::move(taken);
    next_ = next_ + 1 == geometry_.blocks ? 0 : next_ + 1;
    return Status::ok;
}

void Ring::count_copy(std::byte* to, std::byte* block) noexcept {
    const tpacket_hdr_v1& header = header_of(block);
    copy_payload(to, {block, header.blk_len}, copies_);
    copies_.packets.add(header.num_pkts - 1); // one is counted already
}

// Blocks that idle traffic left almost empty share a buffer.
bool Ring::copy_out(Block& block) noexcept {
    if (spill_.size - spilled_ < block.bytes) {
        spilled_ = 0;
        spill_ = {};
        if (!spill_pool_.take(spill_))
            return false;
    }
    std::byte* to = spill_.data + spilled_;
    count_copy(to, block.data);
    block.data = to;
    block.lease = spill_.lease;
    spilled_ += (block.bytes + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT;
    return true;
}

// The kernel needs this block soon, and views may hold it for as long as they like: they get a copy in its place, at
// the same address, and the ring's block goes to its other one.
void Ring::make_way(std::uint32_t index) noexcept {
    const std::uint32_t here = slot(ring_at_[index], index), there = slot(1 - ring_at_[index], index);
    if (!pool_->held(here))
        return;
    const std::size_t bytes = geometry_.block_bytes;
    void* copy = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return;
    if (!move_ring_block(index, at(there))) {
        ::munmap(copy, bytes);
        return;
    }
    count_copy(static_cast<std::byte*>(copy), at(here));
    if (::mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at(here)) == MAP_FAILED) {
        ::munmap(copy, bytes); // the ring's block is at both places now, and stays lent
        return;
    }
    ring_at_[index] ^= 1;
    give_back(index);
}

// Maps the ring once more and keeps only that block of it. A mapping of a packet socket is of the whole ring or none.
bool Ring::move_ring_block(std::uint32_t index, std::byte* to) noexcept {
    const std::size_t bytes = geometry_.block_bytes, before = index * bytes, all = geometry_.blocks * bytes;
    void* mapped = ::mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapped == MAP_FAILED)
        return false;
    auto* ring = static_cast<std::byte*>(mapped);
    if (::mremap(ring + before, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
        ::munmap(ring, all);
        return false;
    }
    if (before != 0)
        ::munmap(ring, before);
    if (before + bytes != all)
        ::munmap(ring + before + bytes, all - before - bytes);
    ::madvise(to, bytes, MADV_DONTFORK);
    return true;
}

void Ring::leave() noexcept {
    spill_ = {};
    pool_->memory().replace([this](void* fresh) {
        for (std::uint32_t i = 0; i < 2 * geometry_.blocks; ++i)
            if (pool_->held(i))
                count_copy(static_cast<std::byte*>(fresh) + i * geometry_.block_bytes, at(i));
    });
}

} // namespace wirepath::tpacket_v3
