// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/source.hpp"
#include "engines/af_xdp/clock.hpp"
#include "engines/af_xdp/program.hpp"
#include "engines/af_xdp/socket.hpp"
#include "linux/interrupt.hpp"
#include "linux/link_watch.hpp"

namespace wirepath::af_xdp {

using Mac = std::array<std::byte, 6>;

// One receive queue. Its rows point into the umem, and their frames go back to the kernel when the lease is let go;
// when leases hold half of the frames, and for packets in several frames, payload is copied.
class QueueSource final : public Source {
  public:
    QueueSource(const Device& device, std::uint32_t queue, std::shared_ptr<Program> program, const Settings& settings,
                Info info); // throws Error
    ~QueueSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override;
    bool filter_settled() const noexcept override;
    void start() override;
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override;
    void interrupt() noexcept override { interrupt_.raise(); }
    void stop() noexcept override;
    Stats stats() override;
    std::optional<Frames> frames() const noexcept override;
    Error fault() const override;

  private:
    void describe();
    void forget_old_filter() noexcept;
    void take_back() noexcept;
    Status wait_for_packets(std::chrono::nanoseconds timeout) noexcept;
    Status sleep(std::chrono::nanoseconds timeout) noexcept;
    Status after_sleep(int ready, short socket_events, short link_events) noexcept;
    Status gather(std::chrono::nanoseconds limit) noexcept;
    void busy_poll(std::chrono::nanoseconds timeout) noexcept;
    Status check_link() noexcept;
    Status deliver(Batch& into) noexcept;
    void release(std::uint32_t frames) noexcept;
    Status lend(Batch& into, std::uint32_t count) noexcept;
    Status handed_twice(Batch& into) noexcept;
    Status copy(Batch& into, std::uint32_t limit) noexcept;
    std::uint32_t parts_of_packet(std::uint32_t first, std::uint32_t there) noexcept;
    Packet make_linear(std::uint32_t first, std::uint32_t parts, std::span<std::byte> room, std::int64_t now) noexcept;
    Packet describe_packet(std::byte* data, std::uint32_t length, std::int64_t now) noexcept;
    void count(const Batch& batch) noexcept;
    std::optional<std::uint64_t> rejected() const noexcept;

    Device device_;
    std::uint32_t queue_;
    Settings settings_;
    std::shared_ptr<Program> program_;
    Umem umem_;
    Socket socket_;
    BufferPool spill_;
    Interrupt interrupt_;
    LinkWatch link_watch_;
    TaiClock clock_;
    Info info_;
    Mac mac_{}; // of lo: zeros, as in its frames
    bool metadata_;
    std::chrono::nanoseconds gather_; // for how long to let packets gather the next time
    std::uint32_t enough_;            // packets that are not worth waiting for more
    std::uint32_t due_ = 0;           // packets that were there at the last wait and are still to be delivered
    bool flowing_ = false;            // there were many
    std::uint32_t before_batch_ = 0;  // descriptors that the kernel produced before those of the batch
    bool link_gone_ = false, broken_ = false;
    std::optional<Error> fault_;

    Counter received_, received_bytes_, waits_;
    CopyCount copied_, pieces_; // packets, and the parts of them that were copied one by one
    ForkGuard fork_guard_;
    std::mutex closing_; // between stats(), set_filter() and stop()
    bool started_ = false, stopped_ = false;
    xdp_statistics last_{};
    std::optional<std::uint64_t> rejected_before_start_, rejected_at_stop_;
    std::atomic<std::uint64_t> unsettled_{0}; // 0: settled; else until what is told in source.cpp
};

} // namespace wirepath::af_xdp
