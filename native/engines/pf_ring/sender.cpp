// SPDX-License-Identifier: Apache-2.0
// Frames through pfring_send, one by one. With ntop's drivers (zc:) they go into the NIC's own ring.
#include "engines/pf_ring/sender.hpp"

#include <cerrno>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "engines/pf_ring/ring.hpp"
#include "linux/fd.hpp"
#include "linux/interrupt.hpp"
#include "linux/room.hpp"
#include "linux/routes.hpp"
#include "linux/sending_device.hpp"

namespace wirepath::pf_ring {
namespace {

constexpr std::uint32_t between_looks = 64; // frames
constexpr std::uint32_t kept = 64;          // bytes: a ring that sends has one to receive, too

NetDevice device_named(const std::string& name) {
    const Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return sending_device(control.get(), name);
}

class RingSender final : public Sender {
  public:
    RingSender(const Library& library, const Module& module, const Target& target);

    const SenderInfo& info() const noexcept override { return info_; }
    Status send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept override;
    // The module hands each frame to the interface's queue at once, and does not tell what becomes of it.
    Status drain(Deadline) noexcept override { return interrupt_.take() ? Status::interrupted : Status::ok; }
    void interrupt() noexcept override {
        if (!ring_.in_child())
            interrupt_.raise();
    }
    SendStats stats() override { return counters_.read(); }
    Error fault() const override { return fault_; }

  private:
    void describe(const Library& library, const Module& module, const Target& target);
    std::span<const std::byte> frame_of(const Packet& packet) noexcept;
    Status not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    NetDevice device_;
    Fd control_; // to ask about the interface, in its network namespace
    Ring ring_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    std::vector<std::byte> tagged_; // where a tag is put back
    SendCounters counters_;
    Error fault_{Code::system, "no error"};
};

RingSender::RingSender(const Library& library, const Module& module, const Target& target)
    : device_(device_named(target.interface)), control_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      ring_(library, module, target, target.device(target.channels), kept, 0) {
    library.set_socket_mode(ring_.get(), SocketMode::send_only);
    ring_.enable();
    describe(library, module, target);
    limit_ = FrameLimit(info_.linktype, info_.mtu);
    tagged_.resize(limit_.most_bytes());
}

void RingSender::describe(const Library& library, const Module& module, const Target& target) {
    describe_device(device_, info_);
    info_.engine = "pf_ring";
    info_.mode =
        std::string(target.zero_copy ? "ZC: the NIC's own ring" : "pfring_send, through the interface's queue") +
        (library.is_double() ? " (a double of libpfring, for tests: not PF_RING)" : "");
    info_.granted.push_back({"library", "", library.is_double() ? "a double, for tests" : library.version()});
    info_.granted.push_back({"module", "", module.version()});
}

// In one piece, which is copied where a tag has to be put back.
std::span<const std::byte> RingSender::frame_of(const Packet& packet) noexcept {
    if (packet.vlan_tpid == 0)
        return packet.data;
    write_frame(tagged_.data(), packet, counters_.copies);
    return {tagged_.data(), bytes_to_send(packet)};
}

Status RingSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (ring_.in_child())
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
        auto* bytes = const_cast<char*>(reinterpret_cast<const char*>(frame.data())); // which it only reads
        const bool last = rows.begin + done + 1 == rows.end;
        errno = 0;
        if (ring_.library().send(ring_.get(), bytes, static_cast<unsigned>(frame.size()), last ? 1 : 0) >= 0) {
            room_.found();
            counters_.took(1, frame.size());
            ++done;
        } else if (const Status status = not_sent(errno, done, deadline); status != Status::ok) {
            return status;
        }
    }
    return Status::ok;
}

// ok: go on. The module says ENETDOWN, too, where the interface's queue was full; with zc: errno says nothing.
Status RingSender::not_sent(int error, std::uint32_t& done, Deadline deadline) noexcept {
    if (error == EINTR)
        return Status::ok;
    const std::string name = error == EMSGSIZE ? info_.interface : netdevice_name(control_.get(), device_.ifindex);
    if (name.empty() || (error != EMSGSIZE && !netdevice_is_up(control_.get(), name)))
        return failed(why_cannot_send(control_.get(), device_), Status::gone);
    if (error == ENOBUFS || error == EAGAIN) // our own frames are under way: there will be room
        return room_.pause(deadline, counters_);
    const bool full = error == ENETDOWN || error == 0;
    if (full && room_.expected(counters_))
        return room_.pause(deadline, counters_);
    if (full || error == EMSGSIZE || error == EINVAL) {
        counters_.refused(error == EMSGSIZE);
        ++done;
        return Status::ok;
    }
    return failed(Error::from_errno("sending on " + info_.interface + " with PF_RING", error));
}

} // namespace

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    const Options none("pf_ring", {}, request.options);
    const Target target = Target::named(request.target);
    if (request.target != target.interface && carries_default_route(target.interface)) // the caller asked by that name
        throw Error(Code::refused, "sending on " + request.target + ": it carries this host's default route", 0,
                    "Name it " + target.interface + ", and say that you want it (--force)");
    const Library& found = library();
    return std::make_unique<RingSender>(found, Module(found), target);
}

} // namespace wirepath::pf_ring
