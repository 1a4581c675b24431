// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "core/source.hpp"
#include "engines/ebpf/bell.hpp"
#include "engines/ebpf/clock.hpp"
#include "engines/ebpf/program.hpp"
#include "engines/ebpf/ring.hpp"
#include "linux/interrupt.hpp"
#include "linux/link_watch.hpp"

namespace wirepath::ebpf {

// One ring, that the programs on one interface or several write into.
class RingSource final : public Source {
  public:
    RingSource(const OpenRequest& request, const Settings& settings); // throws Error
    ~RingSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override;
    bool filter_settled() const noexcept override {
        return first_of_batch_ >= settled_after_.load(std::memory_order_acquire);
    }
    void start() override;
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override;
    void interrupt() noexcept override {
        if (!fork_guard_.in_child())
            interrupt_.raise();
    }
    void stop() noexcept override;
    Stats stats() override;
    Error fault() const override { return fault_; }

  private:
    Place put_filter(const Filter* filter);
    void add_interfaces(InterfaceTable& table);
    void describe();
    Status wait_for_packets(std::chrono::nanoseconds timeout) noexcept;
    Status sleep(std::chrono::nanoseconds timeout) noexcept;
    Status after_sleep(int ready, short link_events) noexcept;
    Status gather(std::chrono::nanoseconds limit) noexcept;
    Status check_links() noexcept;
    Status deliver(Batch& into) noexcept;
    struct Describe { // for the ring
        const RingSource& source;
        std::uint8_t extras;
        Packet packet(const record& from) const noexcept { return source.describe_packet(from); }
        void add_extras(Batch& into, std::uint32_t row, const record& from) const noexcept;
    };
    Packet describe_packet(const record& from) const noexcept;
    std::uint16_t flags_of(const record& from) const noexcept;
    void count(const Batch& batch) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    struct Tapped {
        std::uint32_t ifindex;
        std::uint16_t row; // in the InterfaceTable
        bool ethernet;
        std::array<std::byte, 6> mac; // of lo: zeros, as in its frames
        std::uint32_t longest_packet;
    };
    const Tapped& tapped(std::uint32_t ifindex) const noexcept;

    Settings settings_;
    std::vector<Device> devices_;
    std::vector<Tapped> tapped_;
    Program program_;
    Ring ring_;
    Bell bell_;
    Interrupt interrupt_;
    LinkWatch link_watch_;
    UnixTime clock_;
    Info info_;
    std::uint8_t extras_ = 0;                     // columns of its own
    std::chrono::nanoseconds gather_;             // for how long to let packets gather the next time
    std::uint64_t first_of_batch_ = 0;            // its first packet's time, monotonic
    std::atomic<std::uint64_t> settled_after_{0}; // packets after this time came through the filter in force
    bool flowing_ = false;                        // there were many
    bool left_over_ = false;                      // there was more than the last batch had room for
    bool link_gone_ = false;
    Error fault_{Code::system, "no error"};

    Counter received_, received_bytes_, waits_;
    ForkGuard fork_guard_;
    std::mutex changing_; // between stats(), set_filter() and stop()
    bool started_ = false, stopped_ = false;
    Program::Counts last_{};
};

} // namespace wirepath::ebpf
