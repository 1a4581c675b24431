// SPDX-License-Identifier: Apache-2.0
// Frames through AF_XDP: copied into a umem, from which the kernel, or with zero-copy the NIC itself, takes them.
#include "engines/af_xdp/sender.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "engines/af_xdp/transmit_socket.hpp"
#include "linux/interrupt.hpp"
#include "linux/room.hpp"
#include "linux/sending_device.hpp"
#include "linux/transmit_socket.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::af_xdp {
namespace {

// Descriptors that one system call is given. The kernel takes no more in one, and what it has taken half of a frame
// could not be taken back.
constexpr std::uint32_t burst = 32;
constexpr std::uint32_t most_fragments = 17; // of a frame: MAX_SKB_FRAGS

constexpr std::array options{
    OptionSpec{"queue", OptionSpec::Kind::integer, "", "0", "the transmit queue to send on"},
    OptionSpec{"mode", OptionSpec::Kind::text, "", "auto",
               "copy: the kernel copies each frame; zero_copy: the NIC reads the umem; auto: as the driver can",
               "auto|copy|zero_copy"},
    OptionSpec{"frames", OptionSpec::Kind::integer, "frames", "2048", "frames in the umem, made a power of two"},
    OptionSpec{"frame_size", OptionSpec::Kind::integer, "bytes", "0",
               "2048 or 4096, and what is longer goes out in fragments; 0: as the MTU needs"},
    OptionSpec{"ring_size", OptionSpec::Kind::integer, "frames", "1024", "of the transmit ring, made a power of two"},
};

std::uint32_t number(const Options& given, const char* name, std::int64_t least, std::int64_t most) {
    const std::int64_t value = given.integer(name);
    if (value < least || value > most)
        throw Error(Code::bad_option, std::string(name) + " cannot be " + std::to_string(value), 0,
                    "It is " + std::to_string(least) + " to " + std::to_string(most));
    return static_cast<std::uint32_t>(value);
}

TransmitSettings settings_of(const Options& given, std::uint32_t mtu) {
    TransmitSettings settings{};
    settings.queue = number(given, "queue", 0, 4095);
    settings.frames = std::bit_ceil(number(given, "frames", 64, 1 << 20));
    const std::uint32_t fits_most = mtu + 18 > 2048 ? 4096 : 2048;
    settings.frame_size =
        given.integer("frame_size") == 0 ? fits_most : std::bit_ceil(number(given, "frame_size", 2048, 4096));
    settings.ring_size = std::bit_ceil(number(given, "ring_size", 64, 1 << 16));
    settings.may_copy = given.text("mode") != "zero_copy";
    settings.may_not_copy = given.text("mode") != "copy";
    return settings;
}

Fd control_socket() {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd)
        throw Error::from_errno("making a socket", errno);
    return fd;
}

class XdpSender final : public Sender {
  public:
    XdpSender(const SendRequest& request, const Options& given);

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
    // A row that was put into the ring.
    struct Offered {
        std::uint32_t descriptors, bytes;
    };
    void reclaim() noexcept;
    std::uint32_t needed(std::uint32_t bytes) const noexcept { return (bytes + frame_size_ - 1) / frame_size_; }
    FrameLimit::Verdict verdict(const Packet& packet) const noexcept {
        return needed(bytes_to_send(packet)) <= most_fragments ? limit_.judge(packet) : FrameLimit::Verdict::too_big;
    }
    bool room_for(std::uint32_t descriptors) noexcept;
    bool offer_rows(const Batch& batch, Rows rows) noexcept;
    void offer(const Packet& packet) noexcept;
    void push(std::uint64_t address, std::uint32_t bytes, bool more) noexcept;
    Status give(std::uint32_t& done, Deadline deadline) noexcept;
    struct Taken {
        std::uint32_t rows = 0;
        std::uint64_t bytes = 0;
    };
    Taken taken() noexcept;
    void take_back() noexcept;
    Status not_taken(int error, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    Fd control_; // to ask about the interface, in its network namespace
    NetDevice device_;
    const TransmitSettings settings_;
    const std::uint32_t frame_size_;
    TransmitSocket socket_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    std::vector<std::uint64_t> free_; // addresses
    std::vector<bool> ends_packet_;   // by frame: when it is completed, its packet is
    std::vector<std::byte> scratch_;  // for a frame that goes out in fragments
    std::array<Offered, burst> offered_{};
    std::uint32_t offered_begin_ = 0, offered_end_ = 0; // of those in it, the kernel has not taken
    std::uint64_t not_sent_ = 0; // packets that will be completed, though a full queue refused them
    SendCounters counters_;
    Counter completed_;
    Error fault_{Code::system, "no error"};
};

XdpSender::XdpSender(const SendRequest& request, const Options& given)
    : control_(control_socket()), device_(sending_device(control_.get(), request.target)),
      settings_(settings_of(given, device_.mtu)), frame_size_(settings_.frame_size), socket_(device_, settings_),
      ends_packet_(settings_.frames) {
    describe_device(device_, info_);
    limit_ = FrameLimit(info_.linktype, info_.mtu);
    info_.engine = "af_xdp";
    info_.mode = std::string(socket_.zero_copy() ? "zero_copy" : "copy") + ", queue " + std::to_string(settings_.queue);
    info_.granted.push_back({"mode", given.text("mode"), socket_.zero_copy() ? "zero_copy" : "copy"});
    info_.granted.push_back({"fragments", "as needed", socket_.fragments() ? "on" : "off"});
    free_.reserve(settings_.frames);
    for (std::uint32_t frame = settings_.frames; frame-- > 0;)
        free_.push_back(std::uint64_t{frame} * frame_size_);
    if (socket_.fragments())
        scratch_.resize(limit_.most_bytes());
}

// Frames that are completed can be used again.
void XdpSender::reclaim() noexcept {
    CompletionRing& ring = socket_.completed();
    const std::uint32_t count = ring.available(settings_.frames);
    std::uint64_t packets = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t address = ring.at(ring.next() + i) / frame_size_ * frame_size_;
        packets += ends_packet_[address / frame_size_] ? 1 : 0;
        free_.push_back(address);
    }
    if (count != 0)
        ring.release(count);
    const std::uint64_t refused = std::min(packets, not_sent_);
    not_sent_ -= refused;
    completed_.add(packets - refused);
}

bool XdpSender::room_for(std::uint32_t descriptors) noexcept {
    return free_.size() >= descriptors && settings_.ring_size - socket_.transmitted().waiting() >= descriptors;
}

// False: the very first row is one that cannot be sent.
bool XdpSender::offer_rows(const Batch& batch, Rows rows) noexcept {
    if (offered_begin_ != offered_end_)
        return true;
    offered_begin_ = offered_end_ = 0;
    std::uint32_t waiting = 0;
    for (std::uint32_t row = rows.begin; row < rows.end; ++row) {
        const Packet packet = batch[row];
        if (verdict(packet) != FrameLimit::Verdict::fits) {
            if (row == rows.begin)
                return false;
            break;
        }
        const std::uint32_t descriptors = needed(bytes_to_send(packet));
        waiting += descriptors;
        if (waiting > burst || !room_for(descriptors))
            break;
        offer(packet);
    }
    socket_.transmitted().submit();
    return true;
}

void XdpSender::push(std::uint64_t address, std::uint32_t bytes, bool more) noexcept {
    ends_packet_[address / frame_size_] = !more;
    socket_.transmitted().push({address, bytes, more ? uapi::xdp_pkt_contd : 0U});
}

void XdpSender::offer(const Packet& packet) noexcept {
    const std::uint32_t bytes = bytes_to_send(packet);
    offered_[offered_end_++] = {needed(bytes), bytes};
    if (bytes <= frame_size_) {
        write_frame(socket_.at(free_.back()), packet, counters_.copies);
        push(free_.back(), bytes, false);
        free_.pop_back();
        return;
    }
    write_frame(scratch_.data(), packet, counters_.copies);
    for (std::uint32_t at = 0; at < bytes; at += frame_size_) {
        const std::uint32_t part = std::min(frame_size_, bytes - at);
        copy_payload(socket_.at(free_.back()), {scratch_.data() + at, part}, counters_.copies);
        push(free_.back(), part, at + part < bytes);
        free_.pop_back();
    }
}

Status XdpSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (socket_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    Status status = Status::ok;
    while (rows.begin + done < rows.end && status == Status::ok) {
        if (interrupt_.take()) {
            status = Status::interrupted;
            break;
        }
        reclaim();
        if (!offer_rows(batch, {rows.begin + done, rows.end})) {
            counters_.refused(verdict(batch[rows.begin + done]) == FrameLimit::Verdict::too_big);
            ++done;
        } else if (offered_begin_ == offered_end_) {
            socket_.wake(); // a driver with zero-copy completes where it is woken
            status = room_.pause(deadline, counters_);
        } else {
            status = give(done, deadline);
        }
    }
    take_back();
    return status;
}

// Rows whose descriptors the kernel has taken.
XdpSender::Taken XdpSender::taken() noexcept {
    std::uint32_t offered = 0;
    for (std::uint32_t i = offered_begin_; i < offered_end_; ++i)
        offered += offered_[i].descriptors;
    // With zero-copy the driver takes them in its own time: what it has been offered is on its way.
    std::uint32_t gone = socket_.zero_copy() ? offered : offered - socket_.transmitted().waiting();
    Taken result;
    for (; offered_begin_ < offered_end_ && offered_[offered_begin_].descriptors <= gone; ++offered_begin_) {
        gone -= offered_[offered_begin_].descriptors;
        result.bytes += offered_[offered_begin_].bytes;
        ++result.rows;
    }
    return result;
}

Status XdpSender::give(std::uint32_t& done, Deadline deadline) noexcept {
    const int error = socket_.zero_copy() && !socket_.transmitted().needs_wakeup() ? 0 : socket_.wake();
    Taken sent = taken();
    const bool dropped = error == EBUSY && sent.rows != 0; // the last one was taken, and a full queue refused it
    if (dropped) {
        --sent.rows;
        sent.bytes -= offered_[offered_begin_ - 1].bytes;
        ++not_sent_; // its umem frames come back like any other's
        take_back(); // it is to be offered again before those behind it
    }
    counters_.took(sent.rows, sent.bytes);
    done += sent.rows;
    if (sent.rows != 0)
        room_.found();
    if (error == 0 || (error == EAGAIN && sent.rows != 0))
        return Status::ok;
    return not_taken(error, done, deadline);
}

Status XdpSender::not_taken(int error, std::uint32_t& done, Deadline deadline) noexcept {
    if (error == EBUSY || error == ENOBUFS) {
        if (room_.expected(counters_))
            return room_.pause(deadline, counters_);
        take_back();
        counters_.refused();
        ++done;
        return Status::ok;
    }
    if (error == EAGAIN)
        return room_.pause(deadline, counters_);
    if (error == EINTR)
        return Status::ok;
    if (wirepath::TransmitSocket::means_gone(error))
        return failed(why_cannot_send(control_.get(), device_), Status::gone);
    return failed(Error::from_errno("sending on " + device_.name, error));
}

// What the kernel has not taken; it does not look at the ring now.
void XdpSender::take_back() noexcept {
    if (socket_.zero_copy() || offered_begin_ == offered_end_)
        return;
    TransmitRing& ring = socket_.transmitted();
    for (std::uint32_t waiting = ring.waiting(); waiting > 0; --waiting)
        free_.push_back(ring.take_back().addr);
    ring.submit();
    offered_begin_ = offered_end_ = 0;
}

Status XdpSender::drain(Deadline deadline) noexcept {
    if (interrupt_.take())
        return Status::interrupted;
    for (;;) {
        reclaim();
        if (free_.size() == settings_.frames)
            return Status::ok;
        socket_.wake();
        if (const Status status = room_.pause(deadline, counters_); status != Status::ok)
            return status;
    }
}

SendStats XdpSender::stats() {
    SendStats stats = counters_.read();
    stats.completed = completed_.get();
    stats.errors = *stats.errors + socket_.invalid();
    return stats;
}

} // namespace

std::span<const OptionSpec> send_options() noexcept { return options; }

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    return std::make_unique<XdpSender>(request, Options("af_xdp", options, request.options));
}

} // namespace wirepath::af_xdp
