// SPDX-License-Identifier: Apache-2.0
#include "engines/af_xdp/source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

#include "engines/af_xdp/metadata.h"
#include "linux/packets_under_way.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::af_xdp {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint32_t spill_buffers = 32;
constexpr std::size_t spill_bytes = 256 << 10; // a packet in the most fragments there can be takes a quarter
constexpr std::uint32_t flow = 64;             // packets that gather show that more will come
constexpr nanoseconds shortest_gather = std::chrono::microseconds(20);
constexpr std::uint32_t ahead = 16; // packets whose first bytes are fetched in advance

// Another CPU wrote it: its first line, which holds the metadata that is taken back, and the next.
void prefetch(const std::byte* data) {
    __builtin_prefetch(data, 1);
    __builtin_prefetch(data + 64);
}

bool goes_on(const xdp_desc& part) { return (part.options & uapi::xdp_pkt_contd) != 0; }

std::uint16_t flags_of(const std::byte* data, const Mac& own) {
    static constexpr unsigned char everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (std::memcmp(data, own.data(), own.size()) == 0)
        return flag_inbound;
    if ((data[0] & std::byte{1}) == std::byte{0})
        return flag_inbound | flag_other_host;
    return flag_inbound | (std::memcmp(data, everyone, 6) == 0 ? flag_broadcast : flag_multicast);
}

// Of QueueSource::unsettled_: until the receiver has come to this descriptor, or until it is known to which.
constexpr std::uint64_t unsettled_until = std::uint64_t{1} << 32, unsettled_for_now = std::uint64_t{1} << 33;

bool reached(std::uint32_t index, std::uint32_t wanted) { return static_cast<std::int32_t>(index - wanted) >= 0; }

timespec to_timespec(nanoseconds time) { return {time.count() / 1'000'000'000, time.count() % 1'000'000'000}; }

std::string in_words(std::uint64_t value, const char* unit) {
    return value == 0 ? "off" : std::to_string(value) + unit;
}

} // namespace

QueueSource::QueueSource(const Device& device, std::uint32_t queue, std::shared_ptr<Program> program,
                         const Settings& settings, Info info)
    : device_(device), queue_(queue), settings_(settings), program_(std::move(program)), umem_(settings),
      socket_(device, queue, program_->native(), umem_, settings), spill_(spill_buffers, spill_bytes),
      info_(std::move(info)), metadata_(program_->metadata()), gather_(settings.gather),
      enough_(std::max(1U, settings.ring_size / 8)) {
    std::memcpy(mac_.data(), device.mac.data(), std::min(mac_.size(), device.mac.size()));
    describe();
}

void QueueSource::describe() {
    static constexpr const char* modes[] = {"auto", "copy", "zero_copy"};
    const char* mode = socket_.zero_copy() ? "zero_copy" : "copy";
    info_.queue = static_cast<std::uint16_t>(queue_);
    info_.fd = socket_.fd();
    info_.mode = std::string(mode) + (program_->native() ? ", native XDP" : ", generic XDP");
    info_.granted.push_back({"mode", modes[static_cast<int>(settings_.mode)], mode});
    info_.granted.insert(info_.granted.end(), program_->granted().begin(), program_->granted().end());
    info_.granted.push_back(
        {"fragments", settings_.fragments == Fragments::off ? "off" : "on", socket_.fragments() ? "on" : "off"});
    if (settings_.busy_poll_us != 0)
        info_.granted.push_back({"busy_poll_us", in_words(settings_.busy_poll_us, " us"),
                                 in_words(socket_.busy_poll_granted(SO_BUSY_POLL), " us")});
    if (settings_.prefer_busy_poll)
        info_.granted.push_back(
            {"prefer_busy_poll", "on", socket_.busy_poll_granted(SO_PREFER_BUSY_POLL) != 0 ? "on" : "off"});
}

// What the program let through before it was replaced is in the ring as soon as no packet is under way.
Place QueueSource::set_filter(std::shared_ptr<const Filter> filter) {
    const std::lock_guard lock(closing_);
    if (stopped_ || fork_guard_.in_child())
        throw Error(Code::closed, "setting a filter: the capture of " + device_.name +
                                      (stopped_ ? " has ended" : " belongs to the parent process"));
    unsettled_.store(unsettled_for_now, std::memory_order_release);
    const bool in_xdp = program_->set_filter(filter.get());
    wait_for_packets_under_way();
    unsettled_.store(unsettled_until | socket_.received().end(), std::memory_order_release);
    return filter == nullptr ? Place::none : in_xdp ? Place::xdp : Place::pipeline;
}

bool QueueSource::filter_settled() const noexcept {
    const std::uint64_t unsettled = unsettled_.load(std::memory_order_acquire);
    return unsettled != unsettled_for_now &&
           (unsettled == 0 || reached(before_batch_, static_cast<std::uint32_t>(unsettled)));
}

void QueueSource::start() {
    const std::lock_guard lock(closing_);
    rejected_before_start_ = program_->rejected(queue_);
    program_->take_queue(queue_, socket_.fd());
    started_ = true;
}

Status QueueSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (stopped_) {
        fault_ = Error(Code::closed, "receiving from " + device_.name, 0, "The source was stopped");
        return Status::error;
    }
    if (broken_)
        return Status::error;
    take_back();
    before_batch_ = socket_.received().next();
    forget_old_filter();
    if (interrupt_.take())
        return Status::interrupted;
    const Status status = wait_for_packets(timeout);
    return status == Status::ok ? deliver(into) : status;
}

// The ring's counters begin anew after 2^32 packets.
void QueueSource::forget_old_filter() noexcept {
    std::uint64_t unsettled = unsettled_.load(std::memory_order_relaxed);
    if (unsettled != 0 && filter_settled())
        unsettled_.compare_exchange_strong(unsettled, 0, std::memory_order_relaxed);
}

void QueueSource::take_back() noexcept {
    umem_.collect([this](std::uint64_t frame) { socket_.fill().push(frame); });
    socket_.fill().submit();
    if (socket_.fill().needs_wakeup())
        socket_.wake();
}

Status QueueSource::wait_for_packets(nanoseconds timeout) noexcept {
    if (due_ != 0)
        return Status::ok;
    ReceiveRing& ring = socket_.received();
    const auto deadline = Steady::now() + timeout;
    const nanoseconds longest = timeout.count() < 0 ? settings_.gather : std::min(settings_.gather, timeout);
    const bool gather_first = flowing_ && !socket_.busy_polls();
    if (gather_first && ring.available(enough_) < enough_)
        if (const Status status = gather(longest); status != Status::ok)
            return status;
    while (ring.available(enough_) == 0) {
        const nanoseconds left =
            timeout.count() < 0 ? timeout : std::max(nanoseconds(0), nanoseconds(deadline - Steady::now()));
        if (const Status status = sleep(left); status != Status::ok)
            return status;
    }
    if (!gather_first && ring.available(enough_) < enough_)
        if (const Status status = gather(longest); status != Status::ok)
            return status;
    due_ = ring.available(UINT32_MAX);
    flowing_ = due_ >= flow;
    return Status::ok;
}

// Waking up for every few packets would cost more than receiving them. While they flow, nobody waits on the socket, so
// that the kernel has nobody to wake at the first one. How long depends on what came the last time: the ring is not to
// get more than a quarter full.
Status QueueSource::gather(nanoseconds limit) noexcept {
    limit = std::min(limit, gather_);
    if (limit.count() == 0)
        return Status::ok;
    short unused = 0;
    waits_.add(1);
    const Status status = interrupt_.wait(-1, limit, unused);
    const std::uint32_t there = socket_.received().available(UINT32_MAX);
    if (there > settings_.ring_size / 4)
        gather_ = std::min(std::max<nanoseconds>(gather_ / 2, shortest_gather), settings_.gather);
    else if (there < settings_.ring_size / 16)
        gather_ = std::min(gather_ * 2, settings_.gather);
    return status == Status::timeout ? Status::ok : status;
}

// ok: look again.
Status QueueSource::sleep(nanoseconds timeout) noexcept {
    if (link_gone_)
        return check_link();
    if (socket_.busy_polls()) {
        busy_poll(timeout);
        if (socket_.received().available(1) != 0)
            return Status::ok;
    }
    pollfd fds[] = {{interrupt_.fd(), POLLIN, 0}, {socket_.fd(), POLLIN, 0}, {link_watch_.fd(), POLLIN, 0}};
    const timespec limit = to_timespec(timeout);
    waits_.add(1);
    const int ready = ::ppoll(fds, std::size(fds), timeout.count() < 0 ? nullptr : &limit, nullptr);
    if (ready > 0 && fds[0].revents != 0 && interrupt_.take_readable())
        return Status::interrupted;
    return after_sleep(ready, fds[1].revents, fds[2].revents);
}

Status QueueSource::after_sleep(int ready, short socket_events, short link_events) noexcept {
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return Status::timeout;
    if (ready < 0) {
        fault_ = Error::from_errno("waiting for packets on " + device_.name, errno);
        return Status::error;
    }
    if (link_events == 0 && (socket_events & ~POLLIN) == 0)
        return Status::ok;
    link_watch_.drain();
    return check_link();
}

// The kernel's own polling, on this thread, instead of an interrupt's.
void QueueSource::busy_poll(nanoseconds timeout) noexcept {
    nanoseconds limit = std::chrono::microseconds(settings_.busy_poll_us);
    if (timeout.count() >= 0)
        limit = std::min(limit, timeout);
    const auto deadline = Steady::now() + limit;
    do
        socket_.wake();
    while (socket_.received().available(1) == 0 && Steady::now() < deadline);
}

Status QueueSource::check_link() noexcept {
    const std::string name = netdevice_name(link_watch_.fd(), device_.ifindex);
    link_gone_ = name.empty() || !netdevice_is_up(link_watch_.fd(), name);
    if (!link_gone_)
        return Status::ok;
    fault_ = name.empty()
                 ? Error(Code::gone, "capturing from " + device_.name, ENODEV, "The interface is not there any more")
                 : Error(Code::gone, "capturing from " + name, ENETDOWN, "The interface was brought down");
    return Status::gone;
}

Status QueueSource::deliver(Batch& into) noexcept {
    clock_.measure();
    ReceiveRing& ring = socket_.received();
    const std::uint32_t limit = std::min(settings_.batch, into.capacity());
    const std::uint32_t count = std::min({ring.available(limit), limit, umem_.lendable()});
    const Status status = count == 0 || goes_on(ring.at(ring.next())) ? copy(into, limit) : lend(into, count);
    if (status == Status::ok)
        this->count(into);
    else
        due_ = 0;
    return status;
}

void QueueSource::release(std::uint32_t frames) noexcept {
    socket_.received().release(frames);
    due_ -= std::min(due_, frames);
}

Status QueueSource::lend(Batch& into, std::uint32_t count) noexcept {
    ReceiveRing& ring = socket_.received();
    into.begin(umem_.base(), umem_.bytes(), umem_.begin_batch());
    const std::int64_t now = TaiClock::now();
    const std::uint32_t first = ring.next();
    std::uint32_t done = 0;
    for (; done < count && !goes_on(ring.at(first + done)); ++done) {
        if (done + ahead < count)
            prefetch(umem_.base() + ring.at(first + done + ahead).addr);
        const xdp_desc& one = ring.at(first + done);
        if (!umem_.lend(one.addr))
            return handed_twice(into);
        into.push(describe_packet(umem_.base() + one.addr, one.len, now));
    }
    release(done);
    return Status::ok;
}

// Seen of igb on Linux 7.3 with fewer frames than its ring has descriptors. Nothing that it delivers can be trusted
// then.
Status QueueSource::handed_twice(Batch& into) noexcept {
    into.release();
    broken_ = true;
    fault_ = Error(Code::system, device_.the_driver() + " handed the same frame of " + device_.name + " over twice", 0,
                   "That is a fault of the driver's: use more frames than its ring has descriptors (ethtool -g), "
                   "need_wakeup=off, or mode=copy");
    return Status::error;
}

// Packets that are in several frames, and all of them while leases hold the frames that the kernel can spare.
Status QueueSource::copy(Batch& into, std::uint32_t limit) noexcept {
    BufferPool::Buffer buffer;
    if (!spill_.take(buffer)) {
        fault_ = Error(Code::no_buffer, "receiving from " + device_.name, 0,
                       "Views of earlier batches hold all the memory there is: let go of them, or raise frames");
        return Status::no_buffer;
    }
    into.begin(buffer.data, buffer.size, std::move(buffer.lease));
    ReceiveRing& ring = socket_.received();
    const std::uint32_t there = ring.available(UINT32_MAX), first = ring.next();
    const std::int64_t now = TaiClock::now();
    std::span<std::byte> room(buffer.data, buffer.size);
    std::uint32_t done = 0;
    while (into.size() < limit) {
        const std::uint32_t parts = parts_of_packet(first + done, there - done);
        if (parts == 0 || (done != 0 && std::size_t{parts} * umem_.frame_size() > room.size()))
            break;
        into.push(make_linear(first + done, parts, room, now));
        room = room.subspan(into.data(into.size() - 1).size());
        done += parts;
    }
    release(done);
    socket_.fill().submit();
    return done != 0 ? Status::ok : Status::timeout;
}

// 0: the last ones are not there yet.
std::uint32_t QueueSource::parts_of_packet(std::uint32_t first, std::uint32_t there) noexcept {
    for (std::uint32_t parts = 1; parts <= there; ++parts)
        if (!goes_on(socket_.received().at(first + parts - 1)))
            return parts;
    return 0;
}

Packet QueueSource::make_linear(std::uint32_t first, std::uint32_t parts, std::span<std::byte> room,
                                std::int64_t now) noexcept {
    ReceiveRing& ring = socket_.received();
    Packet packet = describe_packet(umem_.base() + ring.at(first).addr, ring.at(first).len, now);
    const std::size_t limit = std::min<std::size_t>(room.size(), settings_.snaplen);
    std::size_t kept = 0, length = 0;
    for (std::uint32_t part = first; part != first + parts; ++part) {
        const xdp_desc& from = ring.at(part);
        const std::size_t piece = std::min<std::size_t>(from.len, limit - kept);
        if (piece != 0)
            copy_payload(room.data() + kept, {umem_.base() + from.addr, piece}, pieces_);
        kept += piece;
        length += from.len;
        socket_.fill().push(umem_.frame_of(from.addr));
    }
    copied_.packets.add(1);
    copied_.bytes.add(kept);
    packet.data = room.first(kept);
    packet.origlen = static_cast<std::uint32_t>(length);
    if (length > device_.longest_packet())
        packet.flags |= flag_gso;
    return packet;
}

Packet QueueSource::describe_packet(std::byte* data, std::uint32_t length, std::int64_t now) noexcept {
    Packet packet;
    packet.data = {data, std::min(length, settings_.snaplen)};
    packet.origlen = length;
    packet.ts = now;
    packet.interface = info_.interface;
    packet.queue = info_.queue;
    packet.flags = flags_of(data, mac_);
    if (length > device_.longest_packet())
        packet.flags |= flag_gso;
    packet_metadata metadata;
    std::byte* at = data - sizeof metadata;
    if (!metadata_)
        return packet;
    std::memcpy(&metadata, at, sizeof metadata);
    if (metadata.present != 1)
        return packet;
    std::memset(at + offsetof(packet_metadata, present), 0, sizeof metadata.present);
    packet.vlan_tci = metadata.vlan_tci;
    packet.vlan_tpid = metadata.vlan_tpid;
    if (settings_.xdp_timestamps)
        packet.ts = clock_.unix_ns(metadata.ts_tai_ns);
    return packet;
}

void QueueSource::count(const Batch& batch) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        bytes += batch.columns()->caplen[row];
    received_.add(batch.size());
    received_bytes_.add(bytes);
}

// Leases outlive this: they hold the umem's memory, and nothing of the kernel's.
void QueueSource::stop() noexcept {
    const std::lock_guard lock(closing_);
    if (stopped_)
        return;
    rejected_at_stop_ = rejected();
    stopped_ = true;
    program_->leave_queue(queue_);
    socket_.statistics(last_);
    socket_.close();
    program_.reset();
    if (!fork_guard_.in_child())
        umem_.trim();
}

// What the filter kept from this queue's socket while it was there.
std::optional<std::uint64_t> QueueSource::rejected() const noexcept {
    if (stopped_)
        return rejected_at_stop_;
    if (!started_)
        return 0;
    const std::optional<std::uint64_t> now = program_->rejected(queue_);
    return now && rejected_before_start_ ? std::optional(*now - *rejected_before_start_) : std::nullopt;
}

Stats QueueSource::stats() {
    const std::lock_guard lock(closing_);
    if (!stopped_)
        socket_.statistics(last_);
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.filtered = rejected();
    stats.dropped_ring = last_.rx_ring_full;
    stats.dropped_fill = last_.rx_dropped + last_.rx_invalid_descs;
    stats.copied = copied_.packets.get();
    stats.copied_bytes = copied_.bytes.get();
    stats.waits = waits_.get();
    return stats;
}

// A frame is in the fill ring, in the driver or the NIC, or in the receive ring, until its packet is taken: the
// difference of two counters that wrap alike.
std::optional<Frames> QueueSource::frames() const noexcept {
    if (stopped_)
        return std::nullopt;
    return Frames{umem_.frames(), socket_.outstanding(), umem_.leased()};
}

Error QueueSource::fault() const { return fault_.value_or(Error(Code::system, "nothing went wrong")); }

} // namespace wirepath::af_xdp
