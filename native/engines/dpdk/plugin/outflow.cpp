// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/outflow.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <rte_ethdev.h>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/transmit_socket.hpp"

namespace wirepath::dpdk {
namespace {

rte_eth_stats stats_of(std::uint16_t id) noexcept {
    rte_eth_stats stats{};
    rte_eth_stats_get(id, &stats);
    return stats;
}

std::uint64_t beyond(std::uint64_t all, std::uint64_t some) noexcept { return all - std::min(all, some); }

// net_af_packet. Its socket is this process's, and the kernel tells what is under way. Where its ring has no room the
// driver would wait for ever, where nobody could interrupt it: so it is never given more than there is room for.
class PacketRing final : public Outflow {
  public:
    PacketRing(std::uint16_t id, int socket, std::uint32_t frames, Room& room, SendCounters& counters)
        : id_(id), socket_(socket), frames_(frames), room_(room), counters_(counters), before_(stats_of(id)) {}

    std::uint32_t room() noexcept override {
        if (frames_ - occupied_ < frames_ / 4)
            look();
        return frames_ - occupied_;
    }
    void took(std::uint32_t frames) noexcept override {
        occupied_ += frames;
        taken_ += frames;
    }
    bool done() noexcept override {
        look();
        // Of an interface that is down nobody knows whether its ring holds more. Nothing goes out of it.
        return occupied_ == 0 ||
               (wirepath::TransmitSocket::means_gone(refused_) && bytes_under_way(socket_).value_or(0) == 0);
    }
    Status wait(Deadline deadline) noexcept override {
        if (refused_ == EAGAIN)
            return room_.wait(socket_, deadline, counters_);
        if (refused_ == ENOBUFS)
            counters_.retries.add(1); // a queue behind the socket is full, and the kernel keeps the frame in the ring
        return room_.pause(deadline, counters_);
    }
    Account account() noexcept override {
        const std::uint64_t done = completed_.load(std::memory_order_relaxed);
        const std::uint64_t taken = counters_.queued.get();
        const std::uint64_t lost = beyond(taken, stats_of(id_).opackets - before_.opackets);
        return {beyond(done, lost), lost};
    }

  private:
    // An skb takes more of its socket's memory than this, however short its frame.
    static constexpr unsigned least_bytes = 512;

    // The kernel takes frames from the ring until its socket's memory or a queue is full, and the rest when it is asked
    // again. True: it has taken all.
    bool ask_again() noexcept {
        refused_ = 0;
        for (;;) {
            const ssize_t bytes = ::send(socket_, nullptr, 0, MSG_DONTWAIT);
            if (bytes == 0)
                return true;
            if (bytes < 0 && errno != EINTR) {
                refused_ = errno;
                return false;
            }
        }
    }

    void look() noexcept {
        if (!ask_again())
            return;
        occupied_ = std::min(occupied_, (bytes_under_way(socket_).value_or(0) + least_bytes - 1) / least_bytes);
        if (occupied_ == 0)
            completed_.store(taken_, std::memory_order_relaxed);
    }

    const std::uint16_t id_;
    const int socket_;
    const std::uint32_t frames_;
    Room& room_;
    SendCounters& counters_;
    const rte_eth_stats before_;
    std::uint32_t occupied_ = 0; // frames of the ring, at the most
    std::uint64_t taken_ = 0;
    std::atomic<std::uint64_t> completed_{0}; // when last nothing was under way
    int refused_ = 0;
};

// net_af_xdp sends the mbufs themselves, out of the pool that its umem is: those under way are missing there.
class XdpQueue final : public Outflow {
  public:
    XdpQueue(std::uint16_t id, const rte_mempool* pool, Room& room, SendCounters& counters)
        : id_(id), pool_(pool), idle_(rte_mempool_avail_count(pool)), room_(room), counters_(counters) {}

    std::uint32_t room() noexcept override { return rte_mempool_avail_count(pool_); }
    void took(std::uint32_t frames) noexcept override {
        taken_ += frames;
        count();
    }
    bool done() noexcept override {
        rte_eth_tx_burst(id_, 0, nullptr, 0); // has it look at its completion ring
        return count() == 0;
    }
    Status wait(Deadline deadline) noexcept override {
        done();
        return room_.pause(deadline, counters_);
    }
    Account account() noexcept override { return {completed_.load(std::memory_order_relaxed), 0}; }

  private:
    std::uint64_t count() noexcept {
        const std::uint64_t under_way = beyond(idle_, rte_mempool_avail_count(pool_));
        completed_.store(beyond(taken_, under_way), std::memory_order_relaxed);
        return under_way;
    }

    const std::uint16_t id_;
    const rte_mempool* pool_;
    const std::uint64_t idle_; // buffers in the pool when none is under way
    Room& room_;
    SendCounters& counters_;
    std::uint64_t taken_ = 0;
    std::atomic<std::uint64_t> completed_{0};
};

// Devices whose counters say what they have sent. A virtual one has, when its driver returns: what it then does not
// count as sent is lost. A NIC sends in its own time, and counts what it could not.
class Counting final : public Outflow {
  public:
    Counting(std::uint16_t id, bool at_once, Room& room, SendCounters& counters)
        : id_(id), at_once_(at_once), room_(room), counters_(counters), before_(stats_of(id)) {}

    std::uint32_t room() noexcept override { return UINT32_MAX; }
    void took(std::uint32_t) noexcept override {}
    bool done() noexcept override {
        if (at_once_)
            return true;
        rte_eth_tx_done_cleanup(id_, 0, 0);
        const Account now = account();
        return *now.completed + now.lost >= counters_.queued.get();
    }
    Status wait(Deadline deadline) noexcept override { return room_.pause(deadline, counters_); }
    Account account() noexcept override {
        const std::lock_guard lock(reading_);
        const std::uint64_t taken = counters_.queued.get();
        const rte_eth_stats now = stats_of(id_);
        const std::uint64_t sent = std::min(taken, now.opackets - before_.opackets);
        return {sent, at_once_ ? taken - sent : now.oerrors - before_.oerrors};
    }

  private:
    const std::uint16_t id_;
    const bool at_once_;
    Room& room_;
    SendCounters& counters_;
    std::mutex reading_; // some NICs' counters are cleared as they are read
    const rte_eth_stats before_;
};

// Of a virtual device that the user described: as he did, or the driver's default.
std::uint32_t frames_of(const Port& port) {
    if (port.settings().kind == Kind::interface)
        return port.plan().send_ring_size;
    const std::string given = port.settings().argument("framecnt");
    return given.empty() ? 512 : std::max(1U, static_cast<std::uint32_t>(std::strtoul(given.c_str(), nullptr, 10)));
}

std::unique_ptr<Outflow> over_packet_socket(Port& port, Room& room, SendCounters& counters) {
    const int socket = port.kernel() != nullptr ? port.kernel()->socket(0) : -1;
    if (socket < 0)
        throw Error(Code::unsupported, "sending on " + port.settings().target, 0,
                    "The packet socket of DPDK's driver was not found among what this process has open: open it while "
                    "no other thread opens packet sockets");
    return std::make_unique<PacketRing>(port.id(), socket, frames_of(port), room, counters);
}

} // namespace

std::unique_ptr<Outflow> outflow_of(Port& port, Room& room, SendCounters& counters) {
    if (port.driver() == "net_af_packet")
        return over_packet_socket(port, room, counters);
    if (port.driver() == "net_af_xdp")
        return std::make_unique<XdpQueue>(port.id(), port.mbufs(0)->pool(), room, counters);
    return std::make_unique<Counting>(port.id(), port.settings().kind != Kind::pci, room, counters);
}

} // namespace wirepath::dpdk
