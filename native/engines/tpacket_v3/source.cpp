// SPDX-License-Identifier: Apache-2.0
#include "engines/tpacket_v3/source.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/if_packet.h>
#include <string>
#include <sys/epoll.h>

namespace wirepath::tpacket_v3 {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t counts_are_read_every = std::uint64_t{1} << 30; // the kernel's have 32 bits

// The socket is readable for as long as its last full block has not been given back, that is while a view of it lives:
// only the edge says that there is something new.
Fd edges_of(int socket) {
    Fd events(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLERR | EPOLLET;
    if (!events || ::epoll_ctl(events.get(), EPOLL_CTL_ADD, socket, &event) != 0)
        throw Error::from_errno("making an epoll", errno);
    return events;
}

std::string describe(const Geometry& geometry) {
    return "ring of " + std::to_string(geometry.blocks) + " blocks of " + std::to_string(geometry.block_bytes / 1024) +
           " KiB";
}

} // namespace

RingSource::RingSource(const OpenRequest& request, const Options& given, std::shared_ptr<Fanout> fanout,
                       std::uint16_t member)
    : socket_(request, given), ring_(socket_, geometry_of(given, socket_.snaplen())), events_(edges_of(socket_.fd())),
      fanout_(std::move(fanout)) {
    info_.engine = "tpacket_v3";
    info_.mode = describe(geometry_of(given, socket_.snaplen())) + (fanout_->on() ? ", " + fanout_->description() : "");
    info_.interfaces = request.interfaces;
    info_.queue = member;
    socket_.describe(info_);
    info_.fd = events_.get();
}

void RingSource::start() {
    if (!fanout_->on())
        socket_.start();
    else
        socket_.start([this] { fanout_->join(socket_); });
}

void RingSource::stop() noexcept {
    block_ = {};
    if (!socket_.in_child())
        ring_.leave();
    socket_.close();
}

Status RingSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (socket_.in_child())
        return failed(Error(Code::closed, "receiving: this capture belongs to the parent process"));
    if (interrupt_.take())
        return Status::interrupted;
    if (block_.packets == 0)
        if (const Status status = next_block(timeout); status != Status::ok)
            return status;
    fill(into);
    return Status::ok;
}

Status RingSource::next_block(nanoseconds timeout) noexcept {
    block_ = {};
    ring_.collect();
    Status status = ring_.take(block_);
    if (status == Status::ok)
        return status;
    const auto start = steady_clock::now();
    for (auto left = timeout; status == Status::timeout;) {
        if (gone_ && received_.get() >= gone_after_)
            return failed(socket_.why_gone(), Status::gone);
        if (const Status waited = wait(left); waited != Status::ok)
            return waited;
        ring_.collect();
        status = ring_.take(block_);
        if (timeout.count() > 0)
            left = std::max(nanoseconds(0), nanoseconds(timeout - (steady_clock::now() - start)));
    }
    if (status == Status::no_buffer)
        return failed(Error(Code::no_buffer, "receiving: batches that are still in use hold the whole ring", 0,
                            "Let go of them, or keep copies: batch.copy()"),
                      status);
    return status;
}

// ok: something may be there.
Status RingSource::wait(nanoseconds timeout) noexcept {
    if (timeout.count() != 0) {
        waits_.add(1);
        short ready = 0;
        const Status status = interrupt_.wait(events_.get(), timeout, ready);
        if (status == Status::error)
            return failed(Error::from_errno("waiting for packets", errno));
        if (status != Status::ok)
            return status;
    }
    return look_for_events();
}

Status RingSource::look_for_events() noexcept {
    epoll_event event{};
    if (::epoll_wait(events_.get(), &event, 1, 0) <= 0)
        return Status::timeout;
    if ((event.events & EPOLLERR) == 0)
        return Status::ok;
    const int error = socket_.take_error();
    if (error != 0 && error != ENETDOWN)
        return failed(Error::from_errno("receiving from " + socket_.device().name, error));
    if (error == ENETDOWN) { // the block under way still comes, at its timeout
        gone_ = true;
        gone_after_ = socket_.counts().admitted;
    }
    return Status::ok;
}

void RingSource::fill(Batch& into) noexcept {
    const std::uint32_t count = std::min(block_.packets, into.capacity());
    into.begin(block_.data, block_.bytes, block_.lease);
    const std::uint64_t bytes = socket_.cooked() ? push_packets<true>(into, count) : push_packets<false>(into, count);
    block_.packets -= count;
    if (block_.packets == 0)
        block_.lease.reset();
    before_batch_ = received_.get();
    received_.add(count);
    received_bytes_.add(bytes);
    if (before_batch_ / counts_are_read_every != received_.get() / counts_are_read_every)
        socket_.counts();
}

template <bool cooked>
std::uint64_t RingSource::push_packets(Batch& into, std::uint32_t count) noexcept {
    constexpr std::uint32_t added = cooked ? sizeof(CookedHeader) : 0;
    std::byte* at = block_.data + block_.first;
    std::uint64_t bytes = 0;
    Packet packet;
    packet.interface = info_.interface;
    packet.queue = info_.queue;
    for (; count != 0; --count) {
        const auto& header = *reinterpret_cast<const tpacket3_hdr*>(at);
        const auto& from = *reinterpret_cast<const sockaddr_ll*>(at + TPACKET_ALIGN(sizeof(tpacket3_hdr)));
        std::byte* next = at + header.tp_next_offset;
        __builtin_prefetch(next);
        const std::uint32_t status = header.tp_status;
        if constexpr (cooked) {
            const CookedHeader cooked_one = cooked_header(from);
            std::memcpy(at + header.tp_mac - sizeof cooked_one, &cooked_one, sizeof cooked_one);
        }
        packet.data = {at + header.tp_mac - added, header.tp_snaplen + added};
        if constexpr (cooked)
            packet.data = packet.data.first(std::min<std::size_t>(packet.data.size(), socket_.snaplen()));
        packet.origlen = header.tp_len + added;
        packet.ts = std::int64_t{header.tp_sec} * 1'000'000'000 + header.tp_nsec;
        const bool tagged = (status & TP_STATUS_VLAN_VALID) != 0;
        packet.vlan_tci = tagged ? static_cast<std::uint16_t>(header.hv1.tp_vlan_tci) : 0;
        packet.vlan_tpid = !tagged ? 0 : (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header.hv1.tp_vlan_tpid : 0x8100;
        packet.flags = flags_of_packet(from.sll_pkttype, status);
        into.push(packet);
        bytes += packet.data.size();
        at = next;
    }
    block_.first = static_cast<std::uint32_t>(at - block_.data);
    return bytes;
}

Stats RingSource::stats() {
    const auto counts = socket_.counts();
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.dropped_ring = counts.dropped;
    stats.dropped_fill = 0;
    stats.ring_freezes = counts.freezes;
    stats.copied = ring_.copies().packets.get();
    stats.copied_bytes = ring_.copies().bytes.get();
    stats.waits = waits_.get();
    return stats;
}

} // namespace wirepath::tpacket_v3
