// SPDX-License-Identifier: Apache-2.0
// Frames through BPF_PROG_RUN: the kernel makes a page for each, a program writes the frame there, and the driver gets
// it as one that XDP redirects, without an skb.
#include "engines/ebpf/sender.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "core/error.hpp"
#include "engines/ebpf/live.hpp"
#include "linux/fork_guard.hpp"
#include "linux/interrupt.hpp"
#include "linux/netdev_family.hpp"
#include "linux/room.hpp"
#include "linux/sending_device.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath::ebpf {
namespace {

constexpr std::int64_t most_a_call = 4096;

constexpr std::array options{
    OptionSpec{"batch_size", OptionSpec::Kind::integer, "frames", "256", "frames that one call may send, 4096 at most"},
};

std::uint32_t batch_size_of(const Options& given) {
    const std::int64_t size = given.integer("batch_size");
    if (size < 1 || size > most_a_call)
        throw Error(Code::bad_option, "batch_size cannot be " + std::to_string(size), 0,
                    "It is 1 to " + std::to_string(most_a_call) + " frames");
    return static_cast<std::uint32_t>(size);
}

Fd control_socket() {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd)
        throw Error::from_errno("making a socket", errno);
    return fd;
}

Error takes_no_redirected(const NetDevice& device) {
    return Error(Code::unsupported,
                 "sending on " + device.name + ": its driver (" + device.driver + ") takes no frames from XDP now", 0,
                 device.driver == "veth" ? "The other end of a veth must receive through NAPI: ethtool -K PEER gro on"
                                         : "Some take them only while an XDP program is attached, as capturing there "
                                           "with af_xdp, or ebpf and hook=xdp, does; else use another engine");
}

NetDevice device_for_frames(int socket, const std::string& name) {
    NetDevice device = sending_device(socket, name);
    if (linktype_of_hardware(device.hardware_type) != linktype_ethernet)
        throw Error(Code::unsupported, "sending on " + name + ": it has no Ethernet frames", 0,
                    "Use the engine socket");
    const auto features = NetdevFamily().xdp_features(device.ifindex);
    if (features && (*features & uapi::netdev_xdp_act_ndo_xmit) == 0)
        throw takes_no_redirected(device);
    return device;
}

class LiveSender final : public Sender {
  public:
    LiveSender(const SendRequest& request, const Options& given);

    const SenderInfo& info() const noexcept override { return info_; }
    Status send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept override;
    // Nobody says when the device is done with a frame.
    Status drain(Deadline) noexcept override { return interrupt_.take() ? Status::interrupted : Status::ok; }
    void interrupt() noexcept override {
        if (!fork_guard_.in_child())
            interrupt_.raise();
    }
    SendStats stats() override { return counters_.read(); }
    Error fault() const override { return fault_; }

  private:
    void describe();
    FrameLimit::Verdict verdict(const Packet& packet) const noexcept {
        return bytes_to_send(packet) <= most_bytes_ ? limit_.judge(packet) : FrameLimit::Verdict::too_big;
    }
    std::uint32_t prepare(const Batch& batch, Rows rows) noexcept;
    void count_sent(const Batch& batch, Rows rows) noexcept;
    Status not_sent(const LiveOutcome& outcome, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    Fd control_; // to ask about the interface, in its network namespace
    NetDevice device_;
    FrameLimit limit_;
    const std::uint32_t most_bytes_;
    Live live_;
    ForkGuard fork_guard_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    SendCounters counters_;
    Error fault_{Code::system, "no error"};
};

LiveSender::LiveSender(const SendRequest& request, const Options& given)
    : control_(control_socket()), device_(device_for_frames(control_.get(), request.target)),
      limit_(linktype_ethernet, device_.mtu),
      most_bytes_(std::min<std::uint32_t>(limit_.most_bytes(), live_most_bytes)),
      live_(device_.ifindex, batch_size_of(given), most_bytes_) {
    describe();
}

void LiveSender::describe() {
    describe_device(device_, info_);
    info_.engine = "ebpf";
    const std::uint32_t frames = live_.most_frames();
    info_.mode = "live frames, " + (frames == 1 ? "one" : "up to " + std::to_string(frames)) + " a call";
    if (const int why = live_.why_one(); why != 0)
        info_.notes.push_back("one frame a call, which is slow: a network namespace to keep the program ready in could "
                              "not be had (" +
                              std::string(std::strerror(why)) + "; it takes CAP_SYS_ADMIN)");
    if (most_bytes_ < limit_.most_bytes())
        info_.notes.push_back("frames of more than " + std::to_string(most_bytes_) +
                              " bytes do not fit into a live frame's page: they are not sent");
}

// How many of the rows, from the first one, are ready to be sent.
std::uint32_t LiveSender::prepare(const Batch& batch, Rows rows) noexcept {
    const std::uint32_t most = std::min(live_.most_frames(), rows.end - rows.begin);
    for (std::uint32_t i = 0; i < most; ++i) {
        const Packet packet = batch[rows.begin + i];
        if (verdict(packet) != FrameLimit::Verdict::fits)
            return i;
        write_frame(live_.frame(i), packet, counters_.copies);
        live_.set_length(i, bytes_to_send(packet));
    }
    return most;
}

void LiveSender::count_sent(const Batch& batch, Rows rows) noexcept {
    std::uint64_t bytes = 0;
    for (std::uint32_t row = rows.begin; row < rows.end; ++row)
        bytes += bytes_to_send(batch[row]);
    counters_.took(rows.end - rows.begin, bytes);
    if (rows.end != rows.begin)
        room_.found();
}

Status LiveSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (fork_guard_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    while (rows.begin + done < rows.end) {
        if (interrupt_.take())
            return Status::interrupted;
        const std::uint32_t begin = rows.begin + done;
        const std::uint32_t ready = prepare(batch, {begin, rows.end});
        if (ready == 0) {
            counters_.refused(verdict(batch[begin]) == FrameLimit::Verdict::too_big);
            ++done;
            continue;
        }
        const LiveOutcome outcome = live_.run(ready);
        count_sent(batch, {begin, begin + outcome.sent});
        done += outcome.sent;
        if (const Status status = not_sent(outcome, done, deadline); status != Status::ok)
            return status;
    }
    return Status::ok;
}

// Of the first one that was not sent. ok: go on.
Status LiveSender::not_sent(const LiveOutcome& outcome, std::uint32_t& done, Deadline deadline) noexcept {
    if (outcome.unknown != 0) {
        done += outcome.unknown;
        counters_.errors.add(outcome.unknown);
        return failed(Error(Code::system, "sending on " + device_.name + ": the kernel did not say what became of " +
                                              std::to_string(outcome.unknown) + " frames"));
    }
    switch (outcome.error) {
    case 0:
        if (outcome.failed == 0)
            return Status::ok;
        [[fallthrough]];
    case EBUSY: // what drivers say when their ring is full
    case EAGAIN:
    case ENOBUFS:
    case ENOSPC:
        if (room_.expected(counters_))
            return room_.pause(deadline, counters_);
        [[fallthrough]];
    case EMSGSIZE: // the MTU was changed
        counters_.refused(outcome.error == EMSGSIZE);
        ++done;
        return Status::ok;
    case ENODEV:
    case ENETDOWN:
        return failed(why_cannot_send(control_.get(), device_), Status::gone);
    case EOPNOTSUPP:
    case ENXIO: // also from a veth whose other end is being removed, and itself with it
        if (went_away(control_.get(), device_))
            return failed(why_cannot_send(control_.get(), device_), Status::gone);
        return failed(takes_no_redirected(device_));
    default:
        return failed(Error::from_errno("sending on " + device_.name, outcome.error));
    }
}

} // namespace

std::span<const OptionSpec> send_options() noexcept { return options; }

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    return std::make_unique<LiveSender>(request, Options("ebpf", options, request.options));
}

} // namespace wirepath::ebpf
