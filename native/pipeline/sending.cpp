// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sending.hpp"

#include <algorithm>
#include <string>
#include <sys/prctl.h>

#include "pipeline/thread.hpp"

namespace wirepath {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using Steady = std::chrono::steady_clock;

constexpr std::uint32_t burst = 256; // frames that are offered at once: interrupts and deadlines are looked at between
constexpr nanoseconds spin = 60us;   // a sleep may end so much later than it was to
constexpr nanoseconds longest_nap = 1s;
constexpr nanoseconds slice = 100ms;    // of waiting for room
constexpr nanoseconds last_frames = 2s; // for those under way at the end

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

} // namespace

Sending::Sending(Supply& supply, Sender& sender, SendingOptions options)
    : supply_(supply), sender_(sender), options_(options), pacer_(options_.pace) {
    if (options_.pace.any() && !(options_.pace.value > 0))
        throw Error(Code::bad_option, "sending at no rate at all", 0, "A rate is a number above 0");
}

Sending::~Sending() {
    interrupt();
    join();
}

void Sending::start() {
    const SignalsBlocked blocked; // inherited by the thread
    done_.store(false);
    thread_ = std::thread([this] { run(); });
}

bool Sending::wait(nanoseconds timeout) noexcept {
    const auto seen = done_bell_.seen();
    if (!done_.load(std::memory_order_acquire))
        done_bell_.wait(seen, timeout);
    return done_.load(std::memory_order_acquire);
}

void Sending::interrupt() noexcept { finish(End::interrupted); }

void Sending::join() noexcept {
    if (!thread_.joinable())
        return;
    thread_.join();
    if (end() == End::interrupted) // the sender was not waiting, perhaps: what it does next is not to end for it
        sender_.drain(Steady::now());
}

// The first reason stands.
void Sending::finish(End why) noexcept {
    End expected = End::running;
    if (!end_.compare_exchange_strong(expected, why) || why != End::interrupted)
        return;
    interrupt_.raise();
    supply_.interrupt();
    sender_.interrupt();
}

void Sending::fail(const Error& error) noexcept {
    if (!ended())
        fault_ = error;
    finish(End::fault);
}

void Sending::run() noexcept {
    try {
        if (options_.cpu >= 0)
            pin(options_.cpu);
        ::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); // sleeps end when they are to: the default is 50 µs later
        send_all();
    } catch (const Error& error) {
        fail(error);
    }
    cpu_ns_.store(thread_cpu_ns());
    done_.store(true, std::memory_order_release);
    done_bell_.ring();
}

void Sending::send_all() noexcept {
    begun_ = Steady::now();
    pacer_.begin(begun_);
    if (options_.duration)
        deadline_ = begun_ + *options_.duration;
    while (!ended()) {
        const Batch* batch = nullptr;
        const Status status = supply_.next(batch);
        if (status == Status::ok)
            send_batch(*batch);
        else if (status == Status::end_of_file && !next_pass())
            break;
        else if (status == Status::no_buffer)
            wait_for_memory();
        else if (status == Status::interrupted)
            finish(End::interrupted);
        else if (status == Status::error)
            fail(supply_.fault());
    }
    if (end() != End::interrupted && sender_.drain(Steady::now() + last_frames) == Status::gone)
        fail(sender_.fault());
}

bool Sending::next_pass() noexcept {
    const bool empty = passes_.get() == 0 && frames_.get() == 0;
    passes_.add(1);
    if (empty || passes_.get() == options_.passes) {
        finish(End::end_of_file);
        return false;
    }
    pacer_.next_pass();
    if (supply_.again())
        return true;
    fail(supply_.fault());
    return false;
}

// The sender has what the supply handed out; it gives it back when frames are completed.
void Sending::wait_for_memory() noexcept {
    if (const Status status = sender_.drain(Steady::now() + slice); status == Status::gone || status == Status::error)
        fail(sender_.fault());
    time_is_up(Steady::now());
}

void Sending::time_is_up(Time now) noexcept {
    if (now >= deadline_)
        finish(End::duration);
}

void Sending::send_batch(const Batch& batch) noexcept {
    if (!fits_the_link(batch))
        return;
    std::uint32_t end = batch.size();
    if (options_.frames)
        end = static_cast<std::uint32_t>(std::min<std::uint64_t>(end, *options_.frames - frames_.get()));
    for (std::uint32_t row = 0, due = 0; row < end && !ended();) {
        if (due == row)
            due = std::min(end, options_.pace.any() ? due_rows(batch, row) : row + burst);
        if (due == row) {
            wait_until(pacer_.due(batch[row]));
            continue;
        }
        std::uint32_t done = 0;
        if (!hand_over(batch, {row, due}, done))
            return;
        row += done;
    }
    if (options_.frames && frames_.get() >= *options_.frames)
        finish(End::packets);
}

// The first row that is not due yet, and the pacing is told that those before it go out.
std::uint32_t Sending::due_rows(const Batch& batch, std::uint32_t row) noexcept {
    const Time now = Steady::now();
    const std::uint32_t most = std::min(batch.size(), row + burst);
    for (const std::uint32_t first = row; row < most; ++row) {
        const Packet packet = batch[row];
        const Time due = pacer_.due(packet);
        if (due > now)
            break;
        if (row == first)
            latest_ns_.store(std::max(latest_ns_.load(std::memory_order_relaxed), nanoseconds(now - due).count()),
                             std::memory_order_relaxed);
        pacer_.pass(packet);
        asked_ns_.store(nanoseconds(due - begun_).count(), std::memory_order_relaxed);
    }
    return row;
}

bool Sending::hand_over(const Batch& batch, Rows rows, std::uint32_t& done) noexcept {
    const Deadline until = std::min(Steady::now() + slice, deadline_);
    const Status status = sender_.send(batch, rows, done, until);
    const Time now = Steady::now();
    count(batch, {rows.begin, rows.begin + done});
    elapsed_ns_.store(nanoseconds(now - begun_).count(), std::memory_order_relaxed);
    if (status == Status::gone || status == Status::error)
        fail(sender_.fault());
    else if (status == Status::interrupted)
        finish(End::interrupted); // it is being closed
    time_is_up(now);
    return !ended();
}

void Sending::count(const Batch& batch, Rows rows) noexcept {
    std::uint64_t bytes = 0, cut = 0;
    for (std::uint32_t row = rows.begin; row < rows.end; ++row) {
        const Packet packet = batch[row];
        bytes += bytes_to_send(packet);
        cut += packet.data.size() < packet.origlen ? 1 : 0;
    }
    bytes_.add(bytes);
    cut_.add(cut);
    frames_.add(rows.end - rows.begin);
}

void Sending::wait_until(Time due) noexcept {
    const Time until = std::min(due, deadline_);
    for (Time now = Steady::now(); now < until && !ended(); now = Steady::now()) {
        if (until - now > spin)
            interrupt_.pause(std::min<nanoseconds>(until - now - spin, longest_nap));
        else
            relax();
    }
    time_is_up(Steady::now());
}

bool Sending::fits_the_link(const Batch& batch) noexcept {
    const auto& interface = batch.columns()->interface;
    for (std::uint32_t row = 0; row < batch.size(); ++row) {
        if (interface[row] < checked_.size() && checked_[interface[row]])
            continue;
        const std::uint32_t linktype = supply_.interfaces()[interface[row]].linktype;
        if (linktype != sender_.info().linktype) {
            fail(Error(Code::unsupported,
                       "the packets have linktype " + std::to_string(linktype) + ", and " + sender_.info().interface +
                           " takes linktype " + std::to_string(sender_.info().linktype),
                       0, "Choose an interface of their kind, or packets of its kind"));
            return false;
        }
        if (interface[row] < checked_.size())
            checked_[interface[row]] = true;
    }
    return true;
}

} // namespace wirepath
