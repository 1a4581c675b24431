// SPDX-License-Identifier: Apache-2.0
// The plain tap of the protocol stack: an AF_PACKET socket, read with recvmmsg(2) straight into the buffers that
// batches lend out.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/engine.hpp"
#include "core/error.hpp"
#include "engines/socket/sender.hpp"
#include "linux/interrupt.hpp"
#include "linux/packet_fanout.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Address space that all buffers have together; memory is used only where packets were.
constexpr std::size_t pool_bytes = std::size_t{2} << 30;
constexpr std::uint32_t cache_line = 64;
constexpr std::int64_t max_batch = 1024; // UIO_MAXIOV: recvmmsg takes no more

constexpr auto options = with_fanout_options(std::array{
    OptionSpec{"batch_size", OptionSpec::Kind::integer, "packets", "64",
               "packets that one recvmmsg may return, 1024 at "
               "most"},
    OptionSpec{"buffer_size", OptionSpec::Kind::integer, "bytes", "16M",
               "the socket's receive buffer, in the kernel's memory"},
    direction_option,
    timestamps_option,
});

std::uint32_t batch_size_of(const Options& given) {
    const std::int64_t size = given.integer("batch_size");
    if (size < 1 || size > max_batch)
        throw Error(Code::bad_option, "batch_size cannot be " + std::to_string(size), 0, "It is 1 to 1024 packets");
    return static_cast<std::uint32_t>(size);
}

// An odd number of cache lines, so that packets in neighbouring slots do not compete for the same cache sets.
std::size_t slot_bytes(std::uint32_t snaplen) {
    return ((snaplen + sizeof(CookedHeader) + cache_line - 1) / cache_line | 1) * cache_line;
}

std::uint32_t buffers_of(std::size_t buffer_bytes) {
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(pool_bytes / buffer_bytes, 8, 512));
}

// Room for one message's sender and control messages.
struct Envelope {
    sockaddr_ll from;
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(tpacket_auxdata)) + CMSG_SPACE(sizeof(scm_timestamping))];
};

std::int64_t nanoseconds_of(const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

class SocketSource final : public Source {
  public:
    // `member` of the fanout group. Throws Error.
    SocketSource(const OpenRequest& request, const Options& given, std::shared_ptr<Fanout> fanout,
                 std::uint16_t member);

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override { return socket_.set_filter(filter); }
    bool filter_settled() const noexcept override { return socket_.settled(before_batch_); }
    Interface interface() const { return socket_.interface(); }
    void set_row(std::uint16_t row) noexcept { info_.interface = row; } // of the interface, that all members share
    void start() override;
    Status receive(Batch& into, nanoseconds timeout) noexcept override;
    void interrupt() noexcept override {
        if (!socket_.in_child())
            interrupt_.raise();
    }
    void stop() noexcept override { socket_.close(); }
    Stats stats() override;
    Error fault() const override { return fault_; }

  private:
    void set_buffer_size(std::int64_t asked);
    void ask_for_timestamps();
    bool take_buffer() noexcept;
    int read(std::uint32_t most) noexcept;
    Status nothing_read(nanoseconds timeout) noexcept;
    Status wait(nanoseconds timeout) noexcept;
    void deliver(Batch& into, std::uint32_t count) noexcept;
    Packet packet_in(std::uint32_t slot, const mmsghdr& message) const noexcept;
    std::byte* slot(std::uint32_t index) const noexcept { return buffer_.data + index * slot_bytes_; }
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    PacketSocket socket_;
    std::shared_ptr<Fanout> fanout_;
    Interrupt interrupt_;
    Info info_;
    const std::uint32_t batch_size_;
    const std::uint32_t header_; // bytes that we put before what the kernel delivers
    const std::size_t slot_bytes_;
    BufferPool pool_;
    BufferPool::Buffer buffer_; // the one being filled
    std::uint32_t next_slot_ = 0, asked_ = 0;
    bool drained_ = false; // the last call found less than it asked for: waiting is cheaper than asking again
    std::vector<Envelope> envelopes_;
    std::vector<iovec> places_;
    std::vector<mmsghdr> messages_;

    std::uint64_t before_batch_ = 0; // packets delivered before the last batch
    bool gone_ = false;
    std::uint64_t gone_after_ = 0; // packets to deliver before that is said
    Counter received_, received_bytes_, waits_;
    Error fault_{Code::system, "no error"};
};

SocketSource::SocketSource(const OpenRequest& request, const Options& given, std::shared_ptr<Fanout> fanout,
                           std::uint16_t member)
    : socket_(request, given), fanout_(std::move(fanout)), batch_size_(batch_size_of(given)),
      header_(socket_.cooked() ? static_cast<std::uint32_t>(sizeof(CookedHeader)) : 0),
      slot_bytes_(slot_bytes(socket_.snaplen())),
      pool_(buffers_of(batch_size_ * slot_bytes_), batch_size_ * slot_bytes_), envelopes_(batch_size_),
      places_(batch_size_), messages_(batch_size_) {
    info_.engine = "socket";
    info_.mode = "recvmmsg, up to " + std::to_string(batch_size_) + " packets a call" +
                 (fanout_->on() ? ", " + fanout_->description() : "");
    info_.interfaces = request.interfaces;
    info_.queue = member;
    socket_.describe(info_);
    set_buffer_size(given.integer("buffer_size"));
    ask_for_timestamps();
    socket_.set(PACKET_AUXDATA, 1, "asking for lengths and VLAN tags");
    for (std::uint32_t i = 0; i < batch_size_; ++i) {
        places_[i].iov_len = socket_.snaplen();
        messages_[i].msg_hdr.msg_name = &envelopes_[i].from;
        messages_[i].msg_hdr.msg_iov = &places_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
        messages_[i].msg_hdr.msg_control = envelopes_[i].control;
    }
}

void SocketSource::start() {
    if (!fanout_->on())
        socket_.start();
    else
        socket_.start([this] { fanout_->join(socket_); });
}

void SocketSource::set_buffer_size(std::int64_t asked) {
    const int size = static_cast<int>(std::clamp<std::int64_t>(asked, 0, INT32_MAX / 2));
    if (::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size); // capped by net.core.rmem_max
    int granted = 0;
    socklen_t length = sizeof granted;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_RCVBUF, &granted, &length);
    granted /= 2; // the kernel doubles what is asked, for its own overhead
    info_.granted.push_back({"buffer_size", std::to_string(asked), std::to_string(granted)});
    if (granted < size)
        info_.notes.push_back("the receive buffer is smaller than asked: net.core.rmem_max limits those without "
                              "CAP_NET_ADMIN");
}

void SocketSource::ask_for_timestamps() {
    const int hardware = SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
                         SOF_TIMESTAMPING_SOFTWARE;
    const bool host = socket_.clock() == Clock::host;
    const int value = host ? 1 : hardware;
    if (::setsockopt(socket_.fd(), SOL_SOCKET, host ? SO_TIMESTAMPNS : SO_TIMESTAMPING, &value, sizeof value) != 0)
        throw Error::from_errno("asking for timestamps on " + socket_.device().name, errno);
}

bool SocketSource::take_buffer() noexcept {
    if (buffer_.data != nullptr)
        return true;
    next_slot_ = 0;
    return pool_.take(buffer_);
}

int SocketSource::read(std::uint32_t most) noexcept {
    asked_ = std::min(batch_size_ - next_slot_, most);
    for (std::uint32_t i = 0; i < asked_; ++i) {
        places_[i].iov_base = slot(next_slot_ + i) + header_;
        messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_ll);
        messages_[i].msg_hdr.msg_controllen = sizeof envelopes_[i].control;
    }
    return ::recvmmsg(socket_.fd(), messages_.data(), asked_, MSG_DONTWAIT, nullptr);
}

Status SocketSource::receive(Batch& into, nanoseconds timeout) noexcept {
    into.release();
    if (socket_.in_child())
        return failed(Error(Code::closed, "receiving: this capture belongs to the parent process"));
    if (interrupt_.take())
        return Status::interrupted;
    if (!take_buffer())
        return failed(Error(Code::no_buffer, "receiving: every buffer is held by batches that are still in use", 0,
                            "Let go of them, or keep copies: batch.copy()"),
                      Status::no_buffer);
    const auto start = timeout.count() > 0 ? steady_clock::now() : steady_clock::time_point();
    for (auto left = timeout;;) {
        if (gone_ && received_.get() >= gone_after_)
            return failed(socket_.why_gone(), Status::gone);
        if (drained_ && !gone_ && timeout.count() != 0)
            if (const Status status = wait(left); status != Status::ok)
                return status;
        if (const int count = read(into.capacity()); count > 0) {
            deliver(into, static_cast<std::uint32_t>(count));
            return Status::ok;
        }
        if (const Status status = nothing_read(left); status != Status::ok)
            return status;
        if (timeout.count() > 0)
            left = std::max(nanoseconds(0), nanoseconds(timeout - (steady_clock::now() - start)));
    }
}

// ok: try again.
Status SocketSource::nothing_read(nanoseconds timeout) noexcept {
    const int error = errno;
    if (error == ENETDOWN && !gone_) { // what is in the queue can still be read
        gone_ = true;
        gone_after_ = socket_.counts().admitted;
        return Status::ok;
    }
    if (error == EAGAIN && gone_)
        return failed(socket_.why_gone(), Status::gone);
    if (error == EAGAIN)
        return wait(timeout);
    if (error == EINTR)
        return Status::timeout;
    return failed(Error::from_errno("receiving from " + socket_.device().name, error));
}

Status SocketSource::wait(nanoseconds timeout) noexcept {
    drained_ = false;
    if (timeout.count() == 0)
        return Status::timeout;
    waits_.add(1);
    short events = 0;
    const Status status = interrupt_.wait(socket_.fd(), timeout, events);
    return status == Status::error ? failed(Error::from_errno("waiting for packets", errno)) : status;
}

void SocketSource::deliver(Batch& into, std::uint32_t count) noexcept {
    into.begin(slot(next_slot_), count * slot_bytes_, buffer_.lease);
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const Packet packet = packet_in(next_slot_ + i, messages_[i]);
        bytes += packet.data.size();
        into.push(packet);
    }
    before_batch_ = received_.get();
    received_.add(count);
    received_bytes_.add(bytes);
    drained_ = count < asked_;
    next_slot_ += count;
    if (next_slot_ > batch_size_ / 2) // the rest is too little for a call
        buffer_ = {};
}

Packet SocketSource::packet_in(std::uint32_t index, const mmsghdr& message) const noexcept {
    msghdr header = message.msg_hdr;
    const auto& from = *static_cast<const sockaddr_ll*>(header.msg_name);
    Packet packet;
    packet.data = {slot(index), std::min(message.msg_len + header_, socket_.snaplen())};
    packet.interface = info_.interface;
    packet.queue = info_.queue;
    std::uint32_t status = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            const auto& aux = *reinterpret_cast<const tpacket_auxdata*>(CMSG_DATA(c));
            status |= aux.tp_status;
            packet.origlen = aux.tp_len + header_;
            if ((status & TP_STATUS_VLAN_VALID) != 0) {
                packet.vlan_tci = aux.tp_vlan_tci;
                packet.vlan_tpid = (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? aux.tp_vlan_tpid : 0x8100;
            }
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            packet.ts = nanoseconds_of(*reinterpret_cast<const timespec*>(CMSG_DATA(c)));
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
            const auto& times = *reinterpret_cast<const scm_timestamping*>(CMSG_DATA(c));
            const std::int64_t hardware = nanoseconds_of(times.ts[2]);
            packet.ts = hardware != 0 ? hardware : nanoseconds_of(times.ts[0]);
            status |= hardware != 0 ? TP_STATUS_TS_RAW_HARDWARE : 0;
        }
    }
    packet.flags = flags_of_packet(from.sll_pkttype, status);
    if (header_ != 0) {
        const CookedHeader header = cooked_header(from);
        std::memcpy(slot(index), &header, sizeof header);
    }
    return packet;
}

Stats SocketSource::stats() {
    const auto counts = socket_.counts();
    Stats stats;
    stats.received = received_.get();
    stats.received_bytes = received_bytes_.get();
    stats.dropped_ring = counts.dropped;
    stats.ring_freezes = 0;
    stats.copied = 0;
    stats.copied_bytes = 0;
    stats.dropped_fill = 0;
    stats.waits = waits_.get();
    return stats;
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Options given("socket", options, request.options);
    return open_fanout<SocketSource>(request, given);
}

} // namespace

extern const Engine socket_engine;
const Engine socket_engine{
    "socket", Takes::interface, false, options, probe_packet_socket, open, socket_send_options(), open_socket_sender,
};

} // namespace wirepath
