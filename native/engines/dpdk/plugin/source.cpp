// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

namespace wirepath::dpdk {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint32_t spill_buffers = 32;
constexpr std::size_t spill_bytes = 256 << 10;
constexpr nanoseconds shortest_idle = std::chrono::microseconds(20); // of a timer that others wait for
constexpr std::uint32_t ahead = 4;                                   // packets whose first bytes are fetched in advance

std::int64_t unix_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

timespec to_timespec(nanoseconds time) { return {time.count() / 1'000'000'000, time.count() % 1'000'000'000}; }

} // namespace

QueueSource::QueueSource(std::shared_ptr<Port> port, std::uint16_t queue, Info info)
    : port_(std::move(port)), mbufs_(port_->mbufs(queue)), settings_(port_->settings()), id_(port_->id()),
      queue_(queue), info_(std::move(info)), spill_(spill_buffers, spill_bytes), pending_(settings_.burst) {
    if (const KernelSide* kernel = port_->kernel()) {
        link_watch_.emplace();
        ifindex_ = kernel->device().ifindex;
    }
    rte_ether_addr mac{};
    rte_eth_macaddr_get(id_, &mac);
    std::memcpy(mac_.data(), mac.addr_bytes, mac_.size());
    says_direction_ = port_->driver() != "net_af_packet"; // which gives what this host sends, too, and does not say so
    choose_wait();
    describe();
}

void QueueSource::choose_wait() {
    KernelSide* kernel = port_->kernel();
    const int socket = kernel != nullptr ? kernel->socket(queue_) : -1;
    if (settings_.wait == Wait::interrupt || (settings_.wait == Wait::automatic && !settings_.takes_packets()))
        device_fd_ = socket >= 0 ? socket : port_->interrupt_fd(queue_);
    rx_interrupt_ = device_fd_ >= 0 && socket < 0;
    if (device_fd_ < 0 || rx_interrupt_)
        timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

void QueueSource::describe() {
    static constexpr const char* waits[] = {"auto", "poll", "interrupt"};
    info_.queue = queue_;
    info_.fd = timer_ ? timer_.get() : device_fd_;
    info_.granted.push_back({"wait", waits[static_cast<int>(settings_.wait)],
                             device_fd_ < 0  ? "poll"
                             : rx_interrupt_ ? "interrupt of the device"
                                             : "interrupt, by the kernel's socket"});
}

Place QueueSource::set_filter(std::shared_ptr<const Filter> filter) {
    return filter != nullptr ? Place::pipeline : Place::none;
}

void QueueSource::start() {
    port_->start();
    if (port_->kernel() != nullptr)
        drain();
    port_->forget_losses(queue_);
}

// What came before the capture began: of this interface, and from net_af_packet, which opens its socket for all of them
// at first, of others. It is not more than the ring holds.
void QueueSource::drain() noexcept {
    for (std::uint32_t drained = 0; drained < 65536;) {
        const std::uint16_t count = rte_eth_rx_burst(id_, queue_, pending_.data(), settings_.burst);
        rte_pktmbuf_free_bulk(pending_.data(), count);
        drained += count;
        if (count == 0)
            return;
    }
}

Status QueueSource::failed(Error error, Status status) noexcept {
    fault_ = std::move(error);
    return status;
}

Status QueueSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (stopped_ || fork_guard_.in_child())
        return failed(Error(Code::closed, "receiving with DPDK", 0,
                            stopped_ ? "The source was stopped" : "This capture belongs to the parent process"));
    mbufs_->take_back();
    if (interrupt_.take())
        return Status::interrupted;
    if (next_ != end_ || poll())
        return deliver(into);
    if (timeout.count() == 0)
        return nothing_came();
    const auto deadline = Steady::now() + timeout;
    for (;;) {
        const nanoseconds left =
            timeout.count() < 0 ? timeout : std::max(nanoseconds(0), nanoseconds(deadline - Steady::now()));
        if (left.count() == 0)
            return nothing_came();
        if (const Status status = wait(left); status != Status::ok)
            return status;
        if (poll())
            return deliver(into);
    }
}

// One burst.
bool QueueSource::poll() noexcept {
    next_ = 0;
    end_ = rte_eth_rx_burst(id_, queue_, pending_.data(), settings_.burst);
    if (end_ == 0)
        return false;
    now_ = unix_ns();
    return true;
}

Status QueueSource::nothing_came() noexcept {
    if (link_gone_)
        return check_link();
    arm_timer();
    return Status::timeout;
}

void QueueSource::arm_timer() noexcept {
    if (!timer_)
        return;
    itimerspec when{};
    when.it_value = to_timespec(std::max(settings_.idle, shortest_idle));
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

// ok: look again.
Status QueueSource::wait(nanoseconds left) noexcept {
    if (link_gone_)
        return check_link();
    if (device_fd_ < 0)
        return sleep(left.count() < 0 ? settings_.idle : std::min(settings_.idle, left), left);
    if (!rx_interrupt_)
        return sleep(left, left);
    rte_eth_dev_rx_intr_enable(id_, queue_);
    const Status status = poll() ? Status::ok : sleep(left, left);
    rte_eth_dev_rx_intr_disable(id_, queue_);
    return status;
}

Status QueueSource::sleep(nanoseconds limit, nanoseconds left) noexcept {
    const int watch = link_watch_ ? link_watch_->fd() : -1;
    pollfd fds[] = {{interrupt_.fd(), POLLIN, 0}, {device_fd_, POLLIN, 0}, {watch, POLLIN, 0}};
    const timespec until = to_timespec(limit);
    waits_.add(1);
    const int ready = ::ppoll(fds, std::size(fds), limit.count() < 0 ? nullptr : &until, nullptr);
    if (ready < 0)
        return errno == EINTR ? Status::timeout : failed(Error::from_errno("waiting for packets", errno));
    if (ready == 0)
        return limit == left ? Status::timeout : Status::ok;
    if (fds[0].revents != 0 && interrupt_.take_readable())
        return Status::interrupted;
    if (fds[2].revents != 0 || (fds[1].revents & ~POLLIN) != 0) {
        if (link_watch_)
            link_watch_->drain();
        return check_link();
    }
    std::uint64_t times = 0;
    if (rx_interrupt_ && fds[1].revents != 0 && ::read(device_fd_, &times, sizeof times) < 0 && errno != EAGAIN)
        return failed(Error::from_errno("reading the device's interrupt", errno));
    return Status::ok;
}

Status QueueSource::check_link() noexcept {
    if (device_fd_ >= 0 && !rx_interrupt_) { // else the socket is readable for ever
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(device_fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    const std::string name = netdevice_name(link_watch_->fd(), ifindex_);
    link_gone_ = name.empty() || !netdevice_is_up(link_watch_->fd(), name);
    if (!link_gone_)
        return Status::ok;
    const std::string& opened = port_->kernel()->device().name;
    return failed(name.empty()
                      ? Error(Code::gone, "capturing from " + opened, ENODEV, "The interface is not there any more")
                      : Error(Code::gone, "capturing from " + name, ENETDOWN, "The interface was brought down"),
                  Status::gone);
}

Status QueueSource::deliver(Batch& into) noexcept {
    const std::uint32_t limit = std::min(settings_.batch, into.capacity());
    const std::uint32_t can_lend = std::min(limit, mbufs_->lendable());
    const Status status = can_lend != 0 && pending_[next_]->nb_segs == 1 ? lend(into, can_lend) : copy(into, limit);
    if (status == Status::ok)
        count(into);
    return status;
}

// Bursts until one is not full, the batch is, or a packet is in several buffers.
Status QueueSource::lend(Batch& into, std::uint32_t limit) noexcept {
    into.begin(mbufs_->base(), mbufs_->bytes(), mbufs_->begin_batch());
    for (;;) {
        for (; next_ != end_ && pending_[next_]->nb_segs == 1 && into.size() < limit; ++next_) {
            if (next_ + ahead < end_)
                __builtin_prefetch(rte_pktmbuf_mtod(pending_[next_ + ahead], const void*));
            into.push(describe_packet(*pending_[next_]));
            mbufs_->lend(pending_[next_]);
        }
        if (next_ != end_ || end_ < settings_.burst || into.size() == limit || !poll())
            return Status::ok;
    }
}

// Packets in several buffers, and all of them while leases hold those that the driver can spare.
Status QueueSource::copy(Batch& into, std::uint32_t limit) noexcept {
    BufferPool::Buffer buffer;
    if (!spill_.take(buffer))
        return failed(Error(Code::no_buffer, "receiving with DPDK", 0,
                            "Views of earlier batches hold all the memory there is: let go of them, or raise mbufs"),
                      Status::no_buffer);
    into.begin(buffer.data, buffer.size, std::move(buffer.lease));
    std::span<std::byte> room(buffer.data, buffer.size);
    const bool all = mbufs_->lendable() == 0;
    while (next_ != end_ && into.size() < limit && (all || pending_[next_]->nb_segs > 1)) {
        const std::size_t needed = std::min(pending_[next_]->pkt_len, settings_.snaplen);
        if (!into.empty() && needed > room.size())
            break;
        into.push(make_linear(pending_[next_++], room));
        room = room.subspan(into.data(into.size() - 1).size());
        if (next_ == end_ && end_ == settings_.burst)
            poll();
    }
    return Status::ok;
}

Packet QueueSource::make_linear(rte_mbuf* mbuf, std::span<std::byte> room) noexcept {
    Packet packet = describe_packet(*mbuf);
    const std::size_t limit = std::min<std::size_t>(room.size(), settings_.snaplen);
    std::size_t kept = 0;
    for (const rte_mbuf* part = mbuf; part != nullptr; part = part->next) {
        const std::size_t piece = std::min<std::size_t>(part->data_len, limit - kept);
        if (piece != 0)
            copy_payload(room.data() + kept, {rte_pktmbuf_mtod(part, const std::byte*), piece}, pieces_);
        kept += piece;
    }
    copied_.packets.add(1);
    copied_.bytes.add(kept);
    packet.data = room.first(kept);
    rte_pktmbuf_free(mbuf);
    return packet;
}

Packet QueueSource::describe_packet(const rte_mbuf& mbuf) const noexcept {
    static constexpr unsigned char everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const auto* data = rte_pktmbuf_mtod(&mbuf, const std::byte*);
    Packet packet;
    packet.data = {data, std::min<std::size_t>(mbuf.data_len, settings_.snaplen)};
    packet.origlen = mbuf.pkt_len;
    packet.ts = now_;
    packet.interface = info_.interface;
    packet.queue = queue_;
    unsigned flags = says_direction_ ? flag_inbound : 0;
    const bool has_address = mbuf.data_len >= sizeof everyone;
    if (has_address && (data[0] & std::byte{1}) != std::byte{0})
        flags |= std::memcmp(data, everyone, 6) == 0 ? flag_broadcast : flag_multicast;
    else if (has_address && says_direction_ && std::memcmp(data, mac_.data(), mac_.size()) != 0)
        flags |= flag_other_host;
    if ((mbuf.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
        flags |= flag_csum_valid;
    packet.flags = static_cast<std::uint16_t>(flags);
    if ((mbuf.ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
        packet.vlan_tci = mbuf.vlan_tci;
        packet.vlan_tpid = 0x8100; // DPDK does not tell which it was
    }
    return packet;
}

void QueueSource::count(const Batch& batch) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        bytes += batch.columns()->caplen[row];
    received_.add(batch.size());
    received_bytes_.add(bytes);
}

// Leases outlive this: they hold the memory, and nothing of DPDK's.
void QueueSource::stop() noexcept {
    const std::lock_guard lock(closing_);
    if (std::exchange(stopped_, true) || fork_guard_.in_child())
        return;
    last_ = port_->losses(queue_);
    keep_counters();
    rte_pktmbuf_free_bulk(pending_.data() + next_, static_cast<unsigned>(end_ - next_));
    port_.reset();
}

Stats QueueSource::stats() {
    const std::lock_guard lock(closing_);
    if (!stopped_)
        last_ = port_->losses(queue_);
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.filtered = 0;
    stats.dropped_nic = last_.nic;
    stats.dropped_link = last_.link;
    stats.dropped_ring = last_.ring;
    stats.dropped_fill = last_.fill;
    stats.copied = copied_.packets.get();
    stats.copied_bytes = copied_.bytes.get();
    stats.waits = waits_.get();
    return stats;
}

// They are the device's, and told by its first queue.
void QueueSource::keep_counters() noexcept {
    try {
        if (queue_ == 0)
            last_observed_ = port_->counters();
    } catch (const std::exception&) { // no memory
        last_observed_.clear();
    }
}

std::vector<Observed> QueueSource::observed() {
    const std::lock_guard lock(closing_);
    if (!stopped_ && !fork_guard_.in_child())
        keep_counters();
    return last_observed_;
}

Error QueueSource::fault() const { return fault_.value_or(Error(Code::system, "nothing went wrong")); }

} // namespace wirepath::dpdk
