// SPDX-License-Identifier: Apache-2.0
// One loop: supply → pacing → sender, without Python, on a thread of its own.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "core/sender.hpp"
#include "linux/doorbell.hpp"
#include "linux/interrupt.hpp"
#include "pipeline/pacer.hpp"
#include "pipeline/supply.hpp"

namespace wirepath {

struct SendingOptions {
    Pace pace;
    std::optional<std::uint64_t> frames;              // end after so many
    std::optional<std::chrono::nanoseconds> duration; // end after so long
    std::uint64_t passes = 1;                         // 0: without end
    int cpu = -1;                                     // below zero: the scheduler's choice
};

class Sending {
  public:
    enum class End { running, packets, duration, interrupted, end_of_file, fault };

    // Both must outlive it. Throws Error.
    Sending(Supply& supply, Sender& sender, SendingOptions options);
    ~Sending(); // interrupts and joins
    Sending(const Sending&) = delete;
    Sending& operator=(const Sending&) = delete;

    void start();
    bool wait(std::chrono::nanoseconds timeout) noexcept; // true: it has ended; a signal may end the wait early
    void interrupt() noexcept;                            // any thread or signal handler
    void join() noexcept;                                 // what follows is final after it

    End end() const noexcept { return end_.load(std::memory_order_acquire); }
    std::optional<Error> fault() const { return fault_; }           // after join()
    std::uint64_t frames() const noexcept { return frames_.get(); } // that the sender is through with
    std::uint64_t bytes() const noexcept { return bytes_.get(); }   // of those
    std::uint64_t cut() const noexcept { return cut_.get(); }       // of those: their recording had cut them
    std::uint64_t passes() const noexcept { return passes_.get(); } // that are complete
    // From the first frame to the end of the last one.
    std::chrono::nanoseconds elapsed() const noexcept { return std::chrono::nanoseconds(elapsed_ns_.load()); }
    // When the last frame was due, from the first one: what elapsed() is to be. 0 without pacing.
    std::chrono::nanoseconds asked() const noexcept { return std::chrono::nanoseconds(asked_ns_.load()); }
    std::chrono::nanoseconds latest() const noexcept {
        return std::chrono::nanoseconds(latest_ns_.load());
    } // by pacing
    std::chrono::nanoseconds cpu_time() const noexcept { return std::chrono::nanoseconds(cpu_ns_.load()); }

  private:
    using Time = Pacer::Time;
    void run() noexcept;
    void send_all() noexcept;
    bool next_pass() noexcept;
    void send_batch(const Batch& batch) noexcept;
    std::uint32_t due_rows(const Batch& batch, std::uint32_t row) noexcept;
    bool hand_over(const Batch& batch, Rows rows, std::uint32_t& done) noexcept;
    void count(const Batch& batch, Rows rows) noexcept;
    void wait_until(Time due) noexcept;
    bool fits_the_link(const Batch& batch) noexcept;
    void time_is_up(Time now) noexcept;
    void wait_for_memory() noexcept;
    void finish(End why) noexcept;
    void fail(const Error& error) noexcept;
    bool ended() const noexcept { return end() != End::running; }

    Supply& supply_;
    Sender& sender_;
    const SendingOptions options_;
    Pacer pacer_;
    Time begun_{}, deadline_ = Time::max();
    std::array<bool, 256> checked_{}; // interfaces that have the sender's linktype
    std::thread thread_;
    Interrupt interrupt_;
    Doorbell done_bell_;
    std::atomic<bool> done_{true};

    std::atomic<End> end_{End::running};
    std::optional<Error> fault_;
    Counter frames_, bytes_, cut_, passes_;
    std::atomic<std::int64_t> elapsed_ns_{0}, asked_ns_{0}, latest_ns_{0}, cpu_ns_{0};
};

} // namespace wirepath
