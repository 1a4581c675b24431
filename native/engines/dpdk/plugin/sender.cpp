// SPDX-License-Identifier: Apache-2.0
// Frames through rte_eth_tx_burst, each in an mbuf of its own.
#include "engines/dpdk/plugin/sender.hpp"

#include <algorithm>
#include <cerrno>
#include <net/if.h>
#include <optional>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "engines/dpdk/plugin/outflow.hpp"
#include "engines/dpdk/plugin/port.hpp"
#include "linux/interrupt.hpp"
#include "linux/room.hpp"
#include "linux/routes.hpp"
#include "linux/sending_device.hpp"

namespace wirepath::dpdk {
namespace {

std::string way_of(const Port& port) {
    if (port.settings().kind == Kind::pci)
        return "the NIC reads this program's memory";
    const std::string driver = port.driver();
    if (driver == "net_af_packet")
        return "not a kernel bypass: the driver copies into a packet socket's ring";
    if (driver == "net_af_xdp")
        return "not a kernel bypass: through AF_XDP";
    return "not a kernel bypass";
}

class PortSender final : public Sender {
  public:
    explicit PortSender(const Settings& settings);

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
    void wait_for_link();
    void describe();
    bool can_send() noexcept;
    std::uint32_t prepare(const Batch& batch, Rows rows, std::uint32_t most) noexcept;
    std::uint32_t give(std::uint32_t count) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    Fd control_;       // to ask about the interface, in its network namespace
    NetDevice device_; // that the kernel has below the port
    Port port_;
    const std::uint16_t id_;
    ForkGuard fork_guard_;
    Interrupt interrupt_;
    Room room_{interrupt_};
    SenderInfo info_;
    FrameLimit limit_;
    std::vector<rte_mbuf*> frames_; // of one burst
    SendCounters counters_;
    std::unique_ptr<Outflow> outflow_;
    Error fault_{Code::system, "no error"};
};

std::optional<std::uint32_t> mtu_of(int control, const std::string& name) noexcept {
    ifreq request{};
    name.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (::ioctl(control, SIOCGIFMTU, &request) != 0)
        return std::nullopt;
    return static_cast<std::uint32_t>(request.ifr_mtu);
}

Fd control_socket() {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd)
        throw Error::from_errno("making a socket", errno);
    return fd;
}

// Before DPDK is asked, whose drivers say less of what is wrong.
NetDevice looked_at(int control, const Settings& settings) {
    return settings.kind == Kind::interface ? sending_device(control, settings.target) : NetDevice{};
}

PortSender::PortSender(const Settings& settings)
    : control_(control_socket()), device_(looked_at(control_.get(), settings)), port_(settings), id_(port_.id()),
      frames_(settings.burst) {
    if (const KernelSide* kernel = port_.kernel())
        device_ = kernel->device();
    port_.start();
    if (settings.kind == Kind::pci)
        wait_for_link();
    describe();
    outflow_ = outflow_of(port_, room_, counters_);
}

// A NIC that was started has a link after some seconds.
void PortSender::wait_for_link() {
    rte_eth_link link{};
    if (rte_eth_link_get(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_DOWN)
        throw Error(Code::gone, "sending on " + port_.settings().target + ": it has no link", 0,
                    "Look at its cable, and at what is at the other end");
}

void PortSender::describe() {
    const Interface row = port_.interface();
    info_.engine = "dpdk";
    info_.mode = port_.driver() + ", " + way_of(port_);
    info_.interface = row.name;
    info_.ifindex = row.ifindex;
    info_.linktype = row.linktype;
    info_.mtu = port_.plan().mtu;
    info_.speed_bps = row.speed_bps;
    info_.mac = row.mac;
    info_.granted.push_back({"driver", "", port_.driver()});
    info_.granted.push_back({"ring_size",
                             port_.settings().ring_size != 0 ? std::to_string(port_.settings().ring_size) : "auto",
                             std::to_string(port_.plan().send_ring_size)});
    if (port_.driver() == "net_af_xdp")
        info_.notes.push_back("net_af_xdp takes what arrives on queue 0 of " + row.name +
                              " from the host while it is open, and does not tell of frames that a full queue drops");
    limit_ = FrameLimit(info_.linktype, info_.mtu);
}

// The drivers over the kernel do not say that their interface went down, nor that its MTU was lowered.
bool PortSender::can_send() noexcept {
    if (device_.ifindex == 0)
        return true;
    const std::string name = netdevice_name(control_.get(), device_.ifindex);
    if (name.empty() || !netdevice_is_up(control_.get(), name))
        return false;
    limit_ = FrameLimit(info_.linktype, std::min(info_.mtu, mtu_of(control_.get(), name).value_or(info_.mtu)));
    return true;
}

// How many of the rows, from the first one, are written into mbufs: up to one that cannot be sent.
std::uint32_t PortSender::prepare(const Batch& batch, Rows rows, std::uint32_t most) noexcept {
    rte_mempool* pool = port_.mbufs(0)->pool();
    std::uint32_t count = 0;
    for (; count < most; ++count) {
        const Packet packet = batch[rows.begin + count];
        if (limit_.judge(packet) != FrameLimit::Verdict::fits)
            break;
        rte_mbuf* frame = rte_pktmbuf_alloc(pool);
        if (frame == nullptr)
            break;
        write_frame(rte_pktmbuf_mtod(frame, std::byte*), packet, counters_.copies);
        frame->data_len = static_cast<std::uint16_t>(bytes_to_send(packet));
        frame->pkt_len = frame->data_len;
        frames_[count] = frame;
    }
    return count;
}

// Of those prepared. What the driver does not take is tried again as a row.
std::uint32_t PortSender::give(std::uint32_t count) noexcept {
    std::uint64_t bytes[2] = {}; // of all, and of those that are left: a frame that was taken is not ours to look at
    for (std::uint32_t i = 0; i < count; ++i)
        bytes[0] += frames_[i]->pkt_len;
    const std::uint32_t sent = rte_eth_tx_burst(id_, 0, frames_.data(), static_cast<std::uint16_t>(count));
    for (std::uint32_t i = sent; i < count; ++i)
        bytes[1] += frames_[i]->pkt_len;
    rte_pktmbuf_free_bulk(frames_.data() + sent, count - sent);
    counters_.took(sent, bytes[0] - bytes[1]);
    outflow_->took(sent);
    return sent;
}

Status PortSender::send(const Batch& batch, Rows rows, std::uint32_t& done, Deadline deadline) noexcept {
    done = 0;
    if (fork_guard_.in_child())
        return failed(Error(Code::closed, "sending: this sender belongs to the parent process"));
    while (rows.begin + done < rows.end) {
        if (interrupt_.take())
            return Status::interrupted;
        if (!can_send())
            return failed(why_cannot_send(control_.get(), device_), Status::gone);
        const Rows left{rows.begin + done, rows.end};
        if (const auto verdict = limit_.judge(batch[left.begin]); verdict != FrameLimit::Verdict::fits) {
            counters_.refused(verdict == FrameLimit::Verdict::too_big);
            ++done;
            continue;
        }
        const auto most = static_cast<std::uint32_t>(frames_.size());
        const std::uint32_t sent =
            give(prepare(batch, left, std::min({most, left.end - left.begin, outflow_->room()})));
        done += sent;
        if (sent != 0)
            continue;
        if (const Status status = outflow_->wait(deadline); status != Status::ok)
            return status;
    }
    return Status::ok;
}

Status PortSender::drain(Deadline deadline) noexcept {
    if (interrupt_.take())
        return Status::interrupted;
    while (!fork_guard_.in_child() && !outflow_->done())
        if (const Status status = outflow_->wait(deadline); status != Status::ok)
            return status;
    return Status::ok;
}

SendStats PortSender::stats() {
    SendStats stats = counters_.read();
    if (fork_guard_.in_child())
        return stats;
    const Outflow::Account account = outflow_->account();
    stats.completed = account.completed;
    stats.queued = *stats.queued - std::min(*stats.queued, account.lost);
    stats.errors = *stats.errors + account.lost;
    return stats;
}

} // namespace

std::unique_ptr<Sender> open_sender(const SendRequest& request) {
    const Settings settings(request);
    const std::string below = settings.interface();
    if (below != request.target && !below.empty() && carries_default_route(below)) // the caller asked by the target
        throw Error(Code::refused, "sending on " + request.target + ": " + below + " carries this host's default route",
                    0, "Name it " + below + ", and say that you want it (--force)");
    return std::make_unique<PortSender>(settings);
}

} // namespace wirepath::dpdk
