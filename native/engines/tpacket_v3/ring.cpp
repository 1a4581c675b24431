// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/ring.hpp"

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/if_packet.h>
#include <string>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath::tpacket_v3 {
namespace {

// What a block holds beside one packet's bytes: its own header, the packet's, the padding that aligns its IP header.
constexpr std::uint32_t overhead = 256;

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
    Mapping mapping = Mapping::of_fd(socket.fd(), geometry.block_bytes * geometry.blocks);
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
    if (blocks < 2 || blocks > 65536 || size * blocks > (std::int64_t{1} << 40))
        throw bad("block_nr", blocks, "A ring has 2 to 65536 blocks");
    if (timeout < 1 || timeout > 60'000)
        throw bad("block_timeout_ms", timeout, "It is 1 to 60000 ms");
    return {static_cast<std::size_t>(size), static_cast<std::uint32_t>(blocks), static_cast<std::uint32_t>(timeout)};
}

Ring::Ring(PacketSocket& socket, const Geometry& geometry)
    : geometry_(geometry), pool_(LeasePool::create(geometry.blocks, make_ring(socket, geometry))),
      base_(static_cast<std::byte*>(pool_->memory().data())), spill_(geometry.blocks, geometry.block_bytes) {}

bool Ring::handed_over(std::uint32_t index) const noexcept {
    const std::atomic_ref status(header_of(block(index)).block_status);
    return (status.load(std::memory_order_acquire) & TP_STATUS_USER) != 0;
}

void Ring::give_back(std::uint32_t index) noexcept {
    const std::atomic_ref status(header_of(block(index)).block_status);
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
}

void Ring::collect() noexcept {
    pool_->collect([this](std::uint32_t index) {
        give_back(index);
        --held_;
    });
}

Status Ring::take(Block& into) noexcept {
    if (pool_->held(next_)) // lent to views for a whole round
        return Status::no_buffer;
    if (!handed_over(next_))
        return Status::timeout;
    const tpacket_hdr_v1& header = header_of(block(next_));
    into.data = block(next_);
    into.bytes = header.blk_len;
    into.first = header.offset_to_first_pkt;
    into.packets = header.num_pkts;
    if (held_ >= geometry_.blocks / 2) {
        if (!copy_out(into))
            return Status::no_buffer;
        give_back(next_);
    } else {
        into.lease = pool_->take(next_);
        ++held_;
    }
    next_ = next_ + 1 == geometry_.blocks ? 0 : next_ + 1;
    return Status::ok;
}

bool Ring::copy_out(Block& into) noexcept {
    BufferPool::Buffer buffer;
    if (!spill_.take(buffer))
        return false;
    copy_payload(buffer.data, {into.data, into.bytes}, copies_);
    copies_.packets.add(into.packets - 1); // one is counted already
    into.data = buffer.data;
    into.lease = std::move(buffer.lease);
    return true;
}

void Ring::leave() noexcept {
    pool_->memory().replace([this](void* fresh) {
        for (std::uint32_t i = 0; i < geometry_.blocks; ++i)
            if (pool_->held(i))
                std::memcpy(static_cast<std::byte*>(fresh) + i * geometry_.block_bytes, block(i),
                            header_of(block(i)).blk_len);
    });
}

} // namespace wirepath::tpacket_v3
