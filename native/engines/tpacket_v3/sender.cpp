// SPDX-License-Identifier: Apache-2.0
// Frames through a mapped ring: one system call for many, which the kernel sends from the ring itself.
#include "engines/tpacket_v3/sender.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/if_packet.h>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "core/error.hpp"
#include "engines/tpacket_v3/transmit_ring.hpp"
#include "linux/interrupt.hpp"
#include "linux/room.hpp"
#include "linux/transmit_socket.hpp"

namespace wirepath::tpacket_v3 {
namespace {

constexpr std::uint32_t burst = 64; // frames that one send(2) is given: interrupts are looked at in between

constexpr std::array options{
    OptionSpec{"ring_size", OptionSpec::Kind::integer, "frames", "0",
               "frames in the ring, made a power of two; 0: up to 1024, in 8 MiB"},
    OptionSpec{"qdisc_bypass", OptionSpec::Kind::boolean, "", "off",
               "straight to the driver, past the queueing discipline: faster, but no shaping and no tc on the way out, "
               "and other programs' taps do not see what is sent"},
};

std::uint32_t ring_size_of(const Options& given) {
    const std::int64_t size = given.integer("ring_size");
    if (size < 0 || size > 1 << 20)
        throw Error(Code::bad_option, "ring_size cannot be " + std::to_string(size), 0, "It is 1 to 1048576 frames");
    return static_cast<std::uint32_t>(size);
}

class RingSender final : public Sender {
  public:
    RingSender(const SendRequest& request, const Options& given);

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
    bool fill(const Batch& batch, Rows rows) noexcept;
    Status give(std::uint32_t& done, Deadline deadline) noexcept;
    Status not_taken(int error, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    TransmitSocket socket_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    TransmitRing ring_;
    SendCounters counters_;
    Counter completed_;
    Error fault_{Code::system, "no error"};
};

FrameLimit limit_of(const TransmitSocket& socket) {
    return FrameLimit(linktype_of_hardware(socket.device().hardware_type), socket.device().mtu);
}

RingSender::RingSender(const SendRequest& request, const Options& given)
    : socket_(request.target), limit_(limit_of(socket_)), ring_(socket_, limit_.most_bytes(), ring_size_of(given)) {
    socket_.describe(info_);
    info_.engine = "tpacket_v3";
    info_.mode = "ring of " + std::to_string(ring_.frames()) + " frames";
    info_.granted.push_back({"ring_size", given.text("ring_size"), std::to_string(ring_.frames())});
    if (given.flag("qdisc_bypass")) {
        socket_.set(PACKET_QDISC_BYPASS, 1, "going past the queueing discipline");
        info_.mode += ", past the queueing discipline";
    }
    socket_.bind();
}

// Into the ring what there is room for, up to the first row that cannot be sent. False: that is the very first.
bool RingSender::fill(const Batch& batch, Rows rows) noexcept {
    for (std::uint32_t row = rows.begin + ring_.waiting(); row < rows.end && ring_.waiting() < burst; ++row) {
        const Packet packet = batch[row];
        if (limit_.judge(packet) != FrameLimit::Verdict::fits)
            return ring_.waiting() != 0;
        if (ring_.full())
            break;
        ring_.write(packet, counters_.copies);
    }
    return true;
}

Status RingSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (socket_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    Status status = Status::ok;
    while (rows.begin + done < rows.end && status == Status::ok) {
        if (interrupt_.take()) {
            status = Status::interrupted;
            break;
        }
        completed_.add(ring_.complete());
        if (!fill(batch, {rows.begin + done, rows.end})) {
            counters_.refused(limit_.judge(batch[rows.begin + done]) == FrameLimit::Verdict::too_big);
            ++done;
        } else if (ring_.waiting() == 0) {
            status = room_.wait(socket_.fd(), deadline, counters_); // until a frame is completed
        } else {
            status = give(done, deadline);
        }
    }
    ring_.take_back();
    return status;
}

// Has the kernel look at the ring. ok: go on.
Status RingSender::give(std::uint32_t& done, Deadline deadline) noexcept {
    const int error = ::send(socket_.fd(), nullptr, 0, MSG_DONTWAIT) < 0 ? errno : 0;
    std::uint64_t bytes = 0;
    if (const std::uint32_t taken = ring_.take(bytes); taken != 0) {
        counters_.took(taken, bytes);
        room_.found();
        done += taken;
    }
    return ring_.waiting() == 0 ? Status::ok : not_taken(error, done, deadline);
}

Status RingSender::not_taken(int error, std::uint32_t& done, Deadline deadline) noexcept {
    if (TransmitSocket::means_gone(error))
        return failed(socket_.why_gone(), Status::gone);
    if (ring_.rejected() || (error == ENOBUFS && !room_.expected(counters_))) {
        counters_.refused(error == EMSGSIZE);
        ring_.drop_first();
        ++done;
        return Status::ok;
    }
    if (error == ENOBUFS) // a queue behind the socket is full
        return room_.pause(deadline, counters_);
    if (error == EAGAIN)
        return room_.wait(socket_.fd(), deadline, counters_);
    if (error == 0 || error == EINTR)
        return Status::ok;
    return failed(Error::from_errno("sending on " + socket_.device().name, error));
}

Status RingSender::drain(Deadline deadline) noexcept {
    if (interrupt_.take())
        return Status::interrupted;
    for (;;) {
        completed_.add(ring_.complete());
        if (ring_.under_way() == 0)
            return Status::ok;
        if (const Status status = room_.pause(deadline, counters_); status != Status::ok)
            return status;
    }
}

SendStats RingSender::stats() {
    SendStats stats = counters_.read();
    stats.completed = completed_.get();
    return stats;
}

} // namespace

std::span<const OptionSpec> send_options() noexcept { return options; }

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    return std::make_unique<RingSender>(request, Options("tpacket_v3", options, request.options));
}

} // namespace wirepath::tpacket_v3
