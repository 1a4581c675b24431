// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/thread.hpp"

namespace wirepath {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto idle_tick = 100ms;   // how often a sink may flush or rotate when nothing comes
constexpr auto drain_step = 20ms;   // longer than a ring's block timeout: what has arrived shows within it
constexpr auto drain_limit = 300ms; // of a flood that does not end

} // namespace

Pipeline::Pipeline(Capture& capture, Sink& sink, PipelineOptions options)
    : capture_(capture), sink_(sink), options_(std::move(options)) {
    if (capture_.sources().size() > 1)
        for (const auto& source : capture_.sources())
            lanes_.push_back(std::make_unique<Lane>(*source));
    sink_.begin(capture_.sources().front()->info());
}

Pipeline::~Pipeline() {
    interrupt();
    join();
}

template <typename Body>
void Pipeline::spawn(int cpu, Body body) {
    running_.fetch_add(1);
    threads_.emplace_back([this, cpu, body] {
        try {
            if (cpu >= 0)
                pin(cpu);
            body();
        } catch (const Error& error) {
            fail(error);
        }
        cpu_ns_.fetch_add(thread_cpu_ns());
        running_.fetch_sub(1, std::memory_order_release);
        done_bell_.ring();
    });
}

void Pipeline::start() {
    deadline_ = options_.duration ? Steady::now() + *options_.duration : Steady::time_point::max();
    const SignalsBlocked blocked; // inherited by the threads
    const auto cpu = [this](std::size_t worker) {
        return options_.cpus.empty() ? -1 : options_.cpus[worker % options_.cpus.size()];
    };
    if (lanes_.empty()) {
        spawn(cpu(0), [this] { run_alone(*capture_.sources().front()); });
        return;
    }
    for (std::size_t i = 0; i < lanes_.size(); ++i)
        spawn(cpu(i), [this, i] { run_worker(*lanes_[i]); });
    spawn(-1, [this] { run_writer(); });
}

bool Pipeline::wait(std::chrono::nanoseconds timeout) noexcept {
    const auto seen = done_bell_.seen();
    if (running_.load(std::memory_order_acquire) != 0)
        done_bell_.wait(seen, timeout);
    return running_.load(std::memory_order_acquire) == 0;
}

void Pipeline::interrupt() noexcept { finish(End::interrupted); }

void Pipeline::join() noexcept {
    for (std::thread& thread : threads_)
        thread.join();
    threads_.clear();
    for (const auto& source : capture_.sources())
        source->forget_interrupt(); // who was awake already did not need it, and may be received from again
}

// The first reason stands. Every waiting thread is woken to see it.
void Pipeline::finish(End why) noexcept {
    End expected = End::running;
    if (!end_.compare_exchange_strong(expected, why))
        return;
    for (const auto& source : capture_.sources())
        source->interrupt();
    for (const auto& lane : lanes_)
        lane->emptied.ring();
    writer_bell_.ring();
}

void Pipeline::fail(const Error& error) noexcept {
    if (!faulted_.exchange(true))
        fault_ = error;
    finish(End::fault);
}

void Pipeline::sink_ended(Status status) noexcept {
    if (status == Status::end_of_file)
        finish(End::sink);
    else
        fail(sink_.fault());
}

void Pipeline::source_ended(FilteredSource& source, Status status) noexcept {
    if (status == Status::interrupted)
        finish(End::interrupted);
    else if (status != Status::end_of_file)
        fail(source.fault());
    else if (lanes_.empty())
        finish(End::end_of_file);
}

std::chrono::nanoseconds Pipeline::patience() noexcept {
    if (!options_.duration)
        return idle_tick;
    const auto left = deadline_ - Steady::now();
    if (left <= 0ns)
        finish(End::duration);
    return std::clamp(std::chrono::nanoseconds(left), 0ns, std::chrono::nanoseconds(idle_tick));
}

Status Pipeline::deliver(const Batch& batch, Rows rows) noexcept {
    if (options_.packets)
        rows.end = std::min<std::uint64_t>(rows.end, rows.begin + (*options_.packets - packets_.get()));
    const Status status = sink_.consume(batch, rows);
    if (status != Status::ok) {
        sink_ended(status);
        return status;
    }
    std::uint64_t bytes = 0;
    for (std::uint32_t row = rows.begin; row < rows.end; ++row)
        bytes += batch.columns()->origlen[row];
    bytes_.add(bytes);
    packets_.add(rows.end - rows.begin);
    if (options_.packets && packets_.get() >= *options_.packets)
        finish(End::packets);
    return Status::ok;
}

// After an interrupt or at the deadline, what the kernel holds for us is still delivered: a packet that arrived is
// counted.
void Pipeline::drain(FilteredSource& source, Batch& batch) noexcept {
    const auto limit = Steady::now() + drain_limit;
    const End why = end();
    while ((why == End::interrupted || why == End::duration) && Steady::now() < limit) {
        const Status status = source.receive(batch, drain_step);
        if (status == Status::interrupted)
            continue;
        if (status != Status::ok || deliver(batch, {0, batch.size()}) != Status::ok)
            return;
    }
}

void Pipeline::run_alone(FilteredSource& source) noexcept {
    Batch batch;
    while (!ended()) {
        const auto timeout = patience();
        if (ended())
            break;
        const Status status = source.receive(batch, timeout);
        if (status == Status::ok)
            deliver(batch, {0, batch.size()});
        else if (status == Status::timeout) {
            if (const Status idle = sink_.idle(); idle != Status::ok)
                sink_ended(idle);
        } else
            source_ended(source, status);
    }
    drain(source, batch);
}

void Pipeline::run_worker(Lane& lane) noexcept {
    Batch* batch = nullptr;
    Steady::time_point drain_until = Steady::time_point::max();
    while (end() != End::fault && !sink_is_full() && Steady::now() < drain_until) {
        if (ended() && drain_until == Steady::time_point::max())
            drain_until = Steady::now() + drain_limit;
        const auto seen = lane.emptied.seen();
        if (batch == nullptr && !lane.empty.pop(batch)) {
            lane.emptied.wait(seen, idle_tick);
            continue;
        }
        const Status status = lane.source.receive(*batch, ended() ? drain_step : idle_tick);
        if (status == Status::ok) {
            lane.full.push(std::exchange(batch, nullptr)); // as many places as batches: there is one
            writer_bell_.ring();
        } else if (status == Status::interrupted) {
            finish(End::interrupted);
        } else if (status != Status::timeout) {
            source_ended(lane.source, status);
            break;
        } else if (drain_until != Steady::time_point::max()) {
            break;
        }
    }
    lane.ended.store(true, std::memory_order_release);
    writer_bell_.ring();
}

void Pipeline::run_writer() noexcept {
    auto last_idle = Steady::now();
    for (;;) {
        const auto seen = writer_bell_.seen();
        const bool no_more = lanes_ended(); // before looking, so that nothing pushed before it is missed
        const Status status = options_.ordered ? write_ordered() : write_arrived();
        if (status == Status::ok)
            continue;
        if (status != Status::timeout || no_more)
            break;
        writer_bell_.wait(seen, std::max(patience(), std::chrono::nanoseconds(1ms)));
        if (Steady::now() - last_idle < idle_tick)
            continue;
        last_idle = Steady::now();
        if (const Status idle = sink_.idle(); idle != Status::ok)
            sink_ended(idle);
    }
    finish(End::end_of_file);
}

bool Pipeline::lanes_ended() const noexcept {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return lane->ended.load(std::memory_order_acquire); });
}

// One batch of each lane that has one. timeout: none had.
Status Pipeline::write_arrived() noexcept {
    Status result = Status::timeout;
    for (const auto& lane : lanes_) {
        Batch* batch = nullptr;
        if (!lane->full.pop(batch))
            continue;
        result = sink_is_full() ? Status::ok : deliver(*batch, {0, batch->size()});
        lane->give_back(batch);
        if (result != Status::ok)
            return result;
    }
    return result;
}

// The longest run of packets of one lane that are not later than the next packet of any other.
Status Pipeline::write_ordered() noexcept {
    Lane* first = nullptr;
    std::int64_t first_ts = INT64_MAX, next_ts = INT64_MAX;
    bool awaited = false;
    for (const auto& lane : lanes_) {
        awaited |= lane->awaited(options_.order_window);
        if (lane->head == nullptr)
            continue;
        if (lane->head->empty()) // a file's annotations behind its last packet
            return write_run(*lane, INT64_MIN);
        const std::int64_t ts = lane->head->columns()->ts[lane->row];
        if (first == nullptr || ts < first_ts)
            next_ts = first_ts, first = lane.get(), first_ts = ts;
        else
            next_ts = std::min(next_ts, ts);
    }
    if (first == nullptr || (awaited && !ended()))
        return Status::timeout;
    return write_run(*first, next_ts);
}

Status Pipeline::write_run(Lane& lane, std::int64_t up_to) noexcept {
    const auto& ts = lane.head->columns()->ts;
    const std::uint32_t begin = lane.row;
    for (; lane.row < lane.head->size() && (ts[lane.row] <= up_to || lane.row == begin); ++lane.row) {
        if (ts[lane.row] < written_ts_)
            out_of_order_.add(1);
        written_ts_ = std::max(written_ts_, ts[lane.row]);
    }
    const Status status = sink_is_full() ? Status::ok : deliver(*lane.head, {begin, lane.row});
    if (lane.row == lane.head->size())
        lane.give_back(std::exchange(lane.head, nullptr));
    return status;
}

} // namespace wirepath
