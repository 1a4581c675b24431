// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "core/source.hpp"
#include "engines/pf_ring/ring.hpp"
#include "engines/pf_ring/settings.hpp"
#include "linux/hw_timestamps.hpp"
#include "linux/interrupt.hpp"
#include "linux/link_watch.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::pf_ring {

// What the rings of one interface share: it is put back with the last of them.
class Device {
  public:
    Device(const Settings& settings, const Module& module); // throws Error
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    const NetDevice& netdevice() const noexcept { return netdevice_; }
    Interface interface(const Settings& settings) const; // its row in the InterfaceTable

  private:
    void be_promiscuous();

    Fd control_;
    NetDevice netdevice_;
    HardwareTimestamps timestamps_;
    Fd promiscuity_; // a packet socket: the interface is promiscuous for as long as it is open
};

// One ring. A packet in it is there until the next one is taken, so each is copied into buffers of our own.
class RingSource final : public Source {
  public:
    // `channels`: after the @ of the device, empty for all. Throws Error.
    RingSource(const Library& library, const Module& module, std::shared_ptr<Device> device, const Settings& settings,
               const std::string& channels, std::uint16_t queue, Info info);
    ~RingSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    Place set_filter(std::shared_ptr<const Filter> filter) override;
    bool filter_settled() const noexcept override {
        return batch_generation_ == generation_.load(std::memory_order_acquire);
    }
    void start() override;
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override;
    void interrupt() noexcept override {
        if (!ring_.in_child())
            interrupt_.raise();
    }
    void stop() noexcept override;
    Stats stats() override;
    Error fault() const override { return fault_; }

    std::uint32_t channels_of_interface() const noexcept { return ring_.library().get_num_rx_channels(ring_.get()); }

  private:
    bool filter_in_kernel(const Filter& filter) noexcept;
    Status drain(Batch& into) noexcept;
    bool fill(Batch& into) noexcept;
    Packet take(const Header& header, const unsigned char* data) noexcept;
    std::uint16_t flags_of(const Header& header, std::span<const std::byte> data) const noexcept;
    bool take_buffer() noexcept;
    Status wait(std::chrono::nanoseconds timeout) noexcept;
    Status check_link() noexcept;
    void compare_counts() noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    std::shared_ptr<Device> device_;
    NetDevice netdevice_;
    Ring ring_;
    Fd ring_file_;
    Info info_;
    Interrupt interrupt_;
    LinkWatch link_watch_;
    BufferPool pool_;
    BufferPool::Buffer buffer_; // the one being filled
    std::size_t used_ = 0;
    std::uint32_t snaplen_;
    bool zero_copy_, tells_direction_, host_clock_;
    bool wakes_late_; // it may sleep although there are packets
    bool link_gone_ = false;
    alignas(8) std::array<std::byte, longest_header> header_{};

    std::mutex mutex_; // a ring is one thread's at a time
    bool kernel_filters_ = false;
    std::atomic<std::uint32_t> generation_{0}; // of the filter
    std::uint32_t settled_generation_ = 0;     // of the filter that admitted all that comes now
    std::uint32_t batch_generation_ = 0;       // of the one that admitted all of the last batch
    bool stopped_ = false, counts_agree_ = true;
    std::uint64_t taken_ = 0; // packets, out of the ring
    Counts last_{};
    Counter received_, received_bytes_, waits_;
    CopyCount copied_;
    Error fault_{Code::system, "nothing went wrong"};
};

} // namespace wirepath::pf_ring
