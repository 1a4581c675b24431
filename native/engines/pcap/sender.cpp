// SPDX-License-Identifier: Apache-2.0
// Frames through libpcap, one by one, as what is built on libpcap sends them.
#include "engines/pcap/sender.hpp"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "engines/pcap/handle.hpp"
#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/interrupt.hpp"
#include "linux/libpcap.hpp"
#include "linux/room.hpp"
#include "linux/sending_device.hpp"
#include "linux/transmit_socket.hpp"

namespace wirepath::pcap {
namespace {

constexpr std::uint32_t between_looks = 64; // frames

NetDevice device_named(const std::string& name) {
    const Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return sending_device(control.get(), name);
}

// A handle of libpcap's also receives: as little as can be.
Handle open_to_send(const std::string& name) {
    OpenRequest request;
    request.target = name;
    request.promisc = false;
    request.options = {{"buffer_size", "64k"}};
    Handle handle = activate(request, Options("pcap", options, request.options), 64);
    bpf_insn reject{BPF_RET | BPF_K, 0, 0, 0};
    bpf_program program{1, &reject};
    if (libpcap().setfilter(handle.get(), &program) != 0)
        throw Error(Code::system, "opening " + name + " to send: " + libpcap().geterr(handle.get()));
    return handle;
}

class PcapSender final : public Sender {
  public:
    explicit PcapSender(const SendRequest& request);
    ~PcapSender() override { handle_.get_deleter().leave = fork_guard_.in_child(); }

    const SenderInfo& info() const noexcept override { return info_; }
    Status send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept override;
    Status drain(Deadline deadline) noexcept override;
    void interrupt() noexcept override {
        if (!fork_guard_.in_child())
            interrupt_.raise();
    }
    SendStats stats() override;
    Error fault() const override { return fault_; }

  private:
    int fd() const noexcept { return libpcap().get_selectable_fd(handle_.get()); }
    std::span<const std::byte> frame_of(const Packet& packet) noexcept;
    Status not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    NetDevice device_;
    Fd control_; // to ask about the interface, in its network namespace
    ForkGuard fork_guard_;
    Handle handle_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    std::vector<std::byte> tagged_; // where a tag is put back
    SendCounters counters_;
    std::atomic<std::uint64_t> completed_{0}; // when last nothing was under way
    Error fault_{Code::system, "no error"};
};

PcapSender::PcapSender(const SendRequest& request)
    : device_(device_named(request.target)), control_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      handle_(open_to_send(request.target)) {
    describe_device(device_, info_);
    info_.engine = "pcap";
    info_.mode = std::string(libpcap().lib_version());
    info_.linktype = linktype_of_dlt(libpcap().datalink(handle_.get()));
    limit_ = FrameLimit(info_.linktype, info_.mtu);
    tagged_.resize(limit_.most_bytes());
    ::fcntl(fd(), F_SETFL, ::fcntl(fd(), F_GETFL) | O_NONBLOCK); // libpcap's own setting is for receiving
}

// In one piece, which is copied where a tag has to be put back.
std::span<const std::byte> PcapSender::frame_of(const Packet& packet) noexcept {
    if (packet.vlan_tpid == 0)
        return packet.data;
    write_frame(tagged_.data(), packet, counters_.copies);
    return {tagged_.data(), bytes_to_send(packet)};
}

Status PcapSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (fork_guard_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    while (rows.begin + done < rows.end) {
        if (done % between_looks == 0 && interrupt_.take())
            return Status::interrupted;
        const Packet packet = batch[rows.begin + done];
        if (const auto verdict = limit_.judge(packet); verdict != FrameLimit::Verdict::fits) {
            counters_.refused(verdict == FrameLimit::Verdict::too_big);
            ++done;
            continue;
        }
        const auto frame = frame_of(packet);
        errno = 0;
        if (libpcap().inject(handle_.get(), frame.data(), frame.size()) == static_cast<int>(frame.size())) {
            room_.found();
            counters_.took(1, frame.size());
            ++done;
        } else if (const Status status = not_sent(errno, done, deadline); status != Status::ok) {
            return status;
        }
    }
    return Status::ok;
}

// ok: go on.
Status PcapSender::not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept {
    if (error == EINTR)
        return Status::ok;
    if (error == EAGAIN)
        return room_.wait(fd(), deadline, counters_);
    if (error == ENOBUFS && room_.expected(counters_))
        return room_.pause(deadline, counters_);
    if (error == ENOBUFS || error == EMSGSIZE || error == EINVAL) {
        counters_.refused(error == EMSGSIZE);
        ++done;
        return Status::ok;
    }
    if (error == ENETDOWN && netdevice_is_up(control_.get(), info_.interface))
        return Status::ok; // libpcap's socket also receives, and tells of a time that is over
    if (TransmitSocket::means_gone(error))
        return failed(why_cannot_send(control_.get(), device_), Status::gone);
    return failed(Error(Code::system, "sending on " + info_.interface + ": " + libpcap().geterr(handle_.get()), error));
}

Status PcapSender::drain(Deadline deadline) noexcept {
    if (interrupt_.take())
        return Status::interrupted;
    while (bytes_under_way(fd()).value_or(0) != 0)
        if (const Status status = room_.pause(deadline, counters_); status != Status::ok)
            return status;
    return Status::ok;
}

SendStats PcapSender::stats() {
    const std::uint64_t queued = counters_.queued.get();
    const auto under_way = bytes_under_way(fd());
    if (under_way == 0u) // while some are, nobody says how many
        completed_.store(queued, std::memory_order_relaxed);
    SendStats stats = counters_.read();
    if (under_way)
        stats.completed = completed_.load(std::memory_order_relaxed);
    return stats;
}

} // namespace

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    const Options none("pcap", {}, request.options);
    return std::make_unique<PcapSender>(request);
}

} // namespace wirepath::pcap
