// SPDX-License-Identifier: Apache-2.0
// Frames through an AF_PACKET socket with sendmmsg(2): the kernel copies each into an skb of its own.
#include "engines/socket/sender.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <linux/if_packet.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "linux/interrupt.hpp"
#include "linux/room.hpp"
#include "linux/transmit_socket.hpp"

namespace wirepath {
namespace {

using std::chrono::steady_clock;

constexpr std::int64_t max_batch = 1024; // UIO_MAXIOV: sendmmsg takes no more
constexpr std::size_t pieces = 3;        // of a frame: what is before its tag, the tag, the rest

constexpr std::array options{
    OptionSpec{"batch_size", OptionSpec::Kind::integer, "frames", "64",
               "frames that one sendmmsg may take, 1024 at most"},
    OptionSpec{"buffer_size", OptionSpec::Kind::integer, "bytes", "0",
               "the socket's send buffer, in the kernel's memory; 0: the kernel's default"},
    OptionSpec{"qdisc_bypass", OptionSpec::Kind::boolean, "", "off",
               "straight to the driver, past the queueing discipline: faster, but no shaping and no tc on the way out, "
               "and other programs' taps do not see what is sent"},
};

std::uint32_t batch_size_of(const Options& given) {
    const std::int64_t size = given.integer("batch_size");
    if (size < 1 || size > max_batch)
        throw Error(Code::bad_option, "batch_size cannot be " + std::to_string(size), 0, "It is 1 to 1024 frames");
    return static_cast<std::uint32_t>(size);
}

class SocketSender final : public Sender {
  public:
    SocketSender(const SendRequest& request, const Options& given);

    const SenderInfo& info() const noexcept override { return info_; }
    Status send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept override;
    Status drain(Deadline deadline) noexcept override;
    void interrupt() noexcept override {
        if (!socket_.in_child())
            interrupt_.raise();
    }
    SendStats stats() override;
    Error fault() const override { return fault_; }

  private:
    std::uint32_t prepare(const Batch& batch, Rows rows) noexcept;
    void place(std::uint32_t message, const Packet& packet) noexcept;
    void count_sent(std::uint32_t frames) noexcept;
    Status not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    TransmitSocket socket_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    const std::uint32_t batch_size_;
    std::vector<mmsghdr> messages_;
    std::vector<iovec> places_;
    std::vector<WireTag> tags_;
    SendCounters counters_;
    std::atomic<std::uint64_t> completed_{0}; // when last nothing was under way
    Error fault_{Code::system, "no error"};
};

SocketSender::SocketSender(const SendRequest& request, const Options& given)
    : socket_(request.target), batch_size_(batch_size_of(given)), messages_(batch_size_), places_(batch_size_ * pieces),
      tags_(batch_size_) {
    info_.engine = "socket";
    info_.mode = "sendmmsg, up to " + std::to_string(batch_size_) + " frames a call";
    socket_.describe(info_);
    limit_ = FrameLimit(info_.linktype, info_.mtu);
    socket_.set_buffer_size(given.integer("buffer_size"), info_);
    if (given.flag("qdisc_bypass")) {
        socket_.set(PACKET_QDISC_BYPASS, 1, "going past the queueing discipline");
        info_.mode += ", past the queueing discipline";
    }
    for (std::uint32_t i = 0; i < batch_size_; ++i)
        messages_[i].msg_hdr.msg_iov = &places_[i * pieces];
    socket_.bind();
}

void SocketSender::place(std::uint32_t message, const Packet& packet) noexcept {
    constexpr std::size_t addresses = 12;
    auto* data = const_cast<std::byte*>(packet.data.data()); // sendmmsg does not write there
    iovec* at = &places_[message * pieces];
    if (packet.vlan_tpid == 0) {
        at[0] = {data, packet.data.size()};
        messages_[message].msg_hdr.msg_iovlen = 1;
        return;
    }
    tags_[message] = wire_tag(packet);
    at[0] = {data, addresses};
    at[1] = {tags_[message].bytes, sizeof tags_[message].bytes};
    at[2] = {data + addresses, packet.data.size() - addresses};
    messages_[message].msg_hdr.msg_iovlen = pieces;
}

// How many of the rows, from the first one, are ready to be sent.
std::uint32_t SocketSender::prepare(const Batch& batch, Rows rows) noexcept {
    const std::uint32_t most = std::min(batch_size_, rows.end - rows.begin);
    for (std::uint32_t i = 0; i < most; ++i) {
        const Packet packet = batch[rows.begin + i];
        if (limit_.judge(packet) != FrameLimit::Verdict::fits)
            return i;
        place(i, packet);
    }
    return most;
}

void SocketSender::count_sent(std::uint32_t frames) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < frames; ++i)
        for (std::size_t piece = 0; piece < messages_[i].msg_hdr.msg_iovlen; ++piece)
            bytes += places_[i * pieces + piece].iov_len;
    counters_.took(frames, bytes);
}

Status SocketSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (socket_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    while (rows.begin + done < rows.end) {
        if (interrupt_.take())
            return Status::interrupted;
        const std::uint32_t ready = prepare(batch, {rows.begin + done, rows.end});
        if (ready == 0) {
            counters_.refused(limit_.judge(batch[rows.begin + done]) == FrameLimit::Verdict::too_big);
            ++done;
            continue;
        }
        const int sent = ::sendmmsg(socket_.fd(), messages_.data(), ready, MSG_DONTWAIT);
        if (sent > 0) {
            room_.found();
            count_sent(static_cast<std::uint32_t>(sent));
            done += static_cast<std::uint32_t>(sent);
        } else if (const Status status = not_sent(errno, done, deadline); status != Status::ok) {
            return status;
        }
    }
    return Status::ok;
}

// Of the first one that was offered. ok: go on.
Status SocketSender::not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept {
    if (error == EINTR)
        return Status::ok;
    if (error == EAGAIN)
        return room_.wait(socket_.fd(), deadline, counters_);
    if (error ==
        ENOBUFS) { // a queue behind the socket is full: it dropped the frame, and tells nobody when it has room
        if (room_.expected(counters_))
            return room_.pause(deadline, counters_);
        counters_.refused();
        ++done;
        return Status::ok;
    }
    if (error == EMSGSIZE || error == EINVAL) { // the MTU was changed; a frame that the kernel cannot make sense of
        counters_.refused(error == EMSGSIZE);
        ++done;
        return Status::ok;
    }
    if (TransmitSocket::means_gone(error))
        return failed(socket_.why_gone(), Status::gone);
    return failed(Error::from_errno("sending on " + socket_.device().name, error));
}

Status SocketSender::drain(Deadline deadline) noexcept {
    if (interrupt_.take())
        return Status::interrupted;
    while (bytes_under_way(socket_.fd()).value_or(0) != 0)
        if (const Status status = room_.pause(deadline, counters_); status != Status::ok)
            return status;
    return Status::ok;
}

SendStats SocketSender::stats() {
    const std::uint64_t queued = counters_.queued.get();
    if (bytes_under_way(socket_.fd()) == 0u) // while some are, nobody says how many
        completed_.store(queued, std::memory_order_relaxed);
    SendStats stats = counters_.read();
    stats.completed = completed_.load(std::memory_order_relaxed);
    return stats;
}

} // namespace

std::span<const OptionSpec> socket_send_options() noexcept { return options; }

std::unique_ptr<Sender> open_socket_sender(const SendRequest& request) {
    return std::make_unique<SocketSender>(request, Options("socket", options, request.options));
}

} // namespace wirepath
