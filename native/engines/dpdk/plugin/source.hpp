// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/source.hpp"
#include "engines/dpdk/plugin/port.hpp"
#include "linux/interrupt.hpp"
#include "linux/link_watch.hpp"

namespace wirepath::dpdk {

// One receive queue. Its rows point into the driver's buffers, which are free again when the lease is let go. When
// leases hold all that can be spared, and for packets in several buffers, payload is copied.
class QueueSource final : public Source {
  public:
    QueueSource(std::shared_ptr<Port> port, std::uint16_t queue, Info info); // throws Error
    ~QueueSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override;
    void start() override;
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override;
    void interrupt() noexcept override { interrupt_.raise(); }
    void stop() noexcept override;
    Stats stats() override;
    std::vector<Observed> observed() override;
    Error fault() const override;

  private:
    using Nanoseconds = std::chrono::nanoseconds;

    void choose_wait();
    void describe();
    void drain() noexcept;
    bool poll() noexcept;
    Status wait(Nanoseconds left) noexcept;
    Status sleep(Nanoseconds limit, Nanoseconds left) noexcept;
    Status check_link() noexcept;
    Status nothing_came() noexcept;
    Status failed(Error error, Status status = Status::error) noexcept;

    Status deliver(Batch& into) noexcept;
    Status lend(Batch& into, std::uint32_t limit) noexcept;
    Status copy(Batch& into, std::uint32_t limit) noexcept;
    Packet describe_packet(const rte_mbuf& mbuf) const noexcept;
    Packet make_linear(rte_mbuf* mbuf, std::span<std::byte> room) noexcept;
    void count(const Batch& batch) noexcept;
    void keep_counters() noexcept;
    void arm_timer() noexcept;

    std::shared_ptr<Port> port_;
    std::shared_ptr<Mbufs> mbufs_;
    const Settings settings_;
    const std::uint16_t id_, queue_;
    Info info_;
    BufferPool spill_;
    Interrupt interrupt_;
    std::optional<LinkWatch> link_watch_; // of an interface of the kernel
    int ifindex_ = 0;
    int device_fd_ = -1;        // readable when there are packets; -1: poll
    bool rx_interrupt_ = false; // it is an interrupt of the device, to be enabled before waiting
    Fd timer_;                  // readable when it is time to poll again, for who waits for several sources
    std::array<unsigned char, 6> mac_{};
    bool says_direction_ = true;

    std::vector<rte_mbuf*> pending_; // received, not delivered yet: from next_ to end_
    std::uint16_t next_ = 0, end_ = 0;
    std::int64_t now_ = 0; // when they were received, ns since 1970
    bool link_gone_ = false;

    Counter received_, received_bytes_, waits_;
    CopyCount copied_, pieces_;
    ForkGuard fork_guard_;
    std::mutex closing_; // between stats() and stop()
    bool stopped_ = false;
    Port::Losses last_;
    std::vector<Observed> last_observed_;
    std::optional<Error> fault_;
};

} // namespace wirepath::dpdk
