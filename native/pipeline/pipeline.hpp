// SPDX-License-Identifier: Apache-2.0
// One loop a worker: source → filter → sink, without Python. A single source's thread feeds the sink itself; of
// several, each has its thread and queue, and one writer feeds the sink.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/sink.hpp"
#include "linux/doorbell.hpp"
#include "pipeline/capture.hpp"
#include "pipeline/lane.hpp"

namespace wirepath {

struct PipelineOptions {
    std::optional<std::uint64_t> packets;             // end after so many
    std::optional<std::chrono::nanoseconds> duration; // end after so long
    std::vector<int> cpus;                            // a worker each, in turn; empty: the scheduler's choice
    bool ordered = false;                             // merge the sources by time
    std::chrono::nanoseconds order_window{std::chrono::milliseconds{100}}; // a silent live source is waited for so long
};

class Pipeline {
  public:
    enum class End { running, packets, duration, interrupted, end_of_file, sink, fault }; // sink: it has enough

    // Both must outlive the pipeline. The capture is started; the sink is begun here. Throws Error.
    Pipeline(Capture& capture, Sink& sink, PipelineOptions options);
    ~Pipeline(); // interrupts and joins
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    void start();                                         // throws Error
    bool wait(std::chrono::nanoseconds timeout) noexcept; // true: it has ended; a signal may end the wait early
    void interrupt() noexcept; // any thread or signal handler; what has arrived is delivered first
    void join() noexcept;      // what follows is final after it

    End end() const noexcept { return end_.load(std::memory_order_acquire); }
    std::optional<Error> fault() const { return fault_; } // after join()
    std::uint64_t packets() const noexcept { return packets_.get(); }
    std::uint64_t bytes() const noexcept { return bytes_.get(); }               // on the wire
    std::uint64_t out_of_order() const noexcept { return out_of_order_.get(); } // came too late to be merged by time
    std::chrono::nanoseconds cpu_time() const noexcept { return std::chrono::nanoseconds(cpu_ns_.load()); }

  private:
    void run_alone(FilteredSource& source) noexcept;
    void run_worker(Lane& lane) noexcept;
    void run_writer() noexcept;
    Status write_arrived() noexcept;
    Status write_ordered() noexcept;
    Status write_run(Lane& lane, std::int64_t up_to) noexcept;
    bool lanes_ended() const noexcept;

    Status deliver(const Batch& batch, Rows rows) noexcept;
    void drain(FilteredSource& source, Batch& batch) noexcept;
    std::chrono::nanoseconds patience() noexcept;
    void finish(End why) noexcept;
    void fail(const Error& error) noexcept;
    void sink_ended(Status status) noexcept;
    void source_ended(FilteredSource& source, Status status) noexcept;
    bool ended() const noexcept { return end() != End::running; }
    bool sink_is_full() const noexcept { return end() == End::packets || end() == End::sink; }
    template <typename Body>
    void spawn(int cpu, Body body);

    Capture& capture_;
    Sink& sink_;
    const PipelineOptions options_;
    std::chrono::steady_clock::time_point deadline_{};
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> running_{0};
    Doorbell writer_bell_, done_bell_;

    std::atomic<End> end_{End::running};
    std::atomic<bool> faulted_{false};
    std::optional<Error> fault_;
    Counter packets_, bytes_, out_of_order_;
    std::atomic<std::int64_t> cpu_ns_{0};
    std::int64_t written_ts_ = INT64_MIN;
};

} // namespace wirepath
