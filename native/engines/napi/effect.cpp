// SPDX-License-Identifier: Apache-2.0
#include "engines/napi/effect.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sys/stat.h>
#include <thread>

#include "core/error.hpp"
#ifdef WIREPATH_HAVE_TRACE
#include "trace/polls.hpp"
#endif

namespace wirepath::napi {
namespace {

using Value = std::optional<double>;

constexpr double enough_packets = 50; // to say something of

Value ratio(Value a, Value b) { return a && b && *b > 0 ? Value(*a / *b) : std::nullopt; }
Value difference(Value from, Value to) { return from && to ? Value(*to - *from) : std::nullopt; }
Value sum(Value a, Value b) { return a && b ? Value(*a + *b) : std::nullopt; }

std::string rounded(double value) {
    char text[32];
    std::snprintf(text, sizeof text, value < 10 ? "%.2g" : "%.0f", value);
    return text;
}

std::string compare(const std::string& what, Value before, Value during, bool compared) {
    const std::string now = rounded(during.value_or(0)) + " " + what + " a packet";
    if (!before || !compared)
        return now + (compared ? "" : " (too few packets came before it to compare)");
    const bool fewer = *during<*before * 0.8, more = *during> * before * 1.25;
    return now + " (" + rounded(*before) + " before: " +
           (fewer  ? "fewer with what is set"
            : more ? "more with what is set"
                   : "what is set made no difference") +
           ")";
}

} // namespace

#ifdef WIREPATH_HAVE_TRACE

struct Effect::Polls {
    trace::PollCounter counter;
    Polls(int ifindex, std::uint32_t netns) : counter(static_cast<std::uint32_t>(ifindex), netns) {}
    void read(Reading& into) const try {
        const poll_counts counted = counter.read();
        into.polls = static_cast<double>(counted.polls);
        into.polled = static_cast<double>(counted.packets);
        into.empty = static_cast<double>(counted.empty);
    } catch (const Error&) {
        return; // they stay unknown
    }
};

#else

struct Effect::Polls {
    Polls(int, std::uint32_t) {
        throw Error(Code::unsupported, "the instruments that trace the kernel were not built", 0,
                    WIREPATH_UNBUILT_TRACE);
    }
    void read(Reading&) const {}
};

#endif

Effect::Effect(const NetDevice& device, const NetSettings& settings)
    : device_(device), sysfs_(settings.sysfs()),
      interrupts_(device.name, settings.sysfs(), settings.napis(device.ifindex)) {
    struct stat netns{};
    ::stat("/proc/thread-self/ns/net", &netns);
    try {
        polls_ = std::make_unique<Polls>(device.ifindex, static_cast<std::uint32_t>(netns.st_ino));
    } catch (const Error& error) {
        no_polls_ = error.what();
    }
}

Effect::~Effect() = default;

Value Effect::counter(const char* name) const {
    const auto text = sysfs_.read("class/net/" + device_.name + "/statistics/" + name);
    std::uint64_t value = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{})
        return std::nullopt;
    return static_cast<double>(value);
}

Effect::Reading Effect::read() const {
    Reading now;
    now.at = std::chrono::steady_clock::now();
    if (const auto total = interrupts_.total())
        now.interrupts = static_cast<double>(*total);
    now.packets = sum(counter("rx_packets"), counter("tx_packets"));
    if (polls_)
        polls_->read(now);
    return now;
}

Effect::Span Effect::between(const Reading& from, const Reading& to) {
    Span span{std::chrono::duration<double>(to.at - from.at).count(),
              difference(from.interrupts, to.interrupts),
              difference(from.packets, to.packets),
              difference(from.polls, to.polls),
              difference(from.polled, to.polled),
              difference(from.empty, to.empty)};
    if (span.packets && span.polled) // some drivers count late, or nothing while the link is down
        span.packets = std::max(*span.packets, *span.polled);
    return span;
}

Value Effect::Span::interrupts_a_packet() const { return ratio(interrupts, packets); }

void Effect::measure_before(std::chrono::milliseconds time) {
    const Reading first = read();
    std::this_thread::sleep_for(time);
    const std::lock_guard lock(mutex_);
    baseline_ = first;
}

void Effect::begin() {
    const std::lock_guard lock(mutex_);
    began_ = read();
}

void Effect::finish() noexcept {
    const std::lock_guard lock(mutex_);
    if (began_ && !finished_)
        finished_ = read();
}

// Without a time of its own: what the counters had when it began.
Effect::Span Effect::before() const {
    if (baseline_)
        return between(*baseline_, *began_);
    Span since_boot;
    since_boot.interrupts = began_->interrupts;
    since_boot.packets = began_->packets;
    return since_boot;
}

std::string Effect::say(const Span& before, const Span& during) const {
    if (during.packets.value_or(0) < enough_packets)
        return "too few packets passed to tell";
    if (during.polls == 0.0)
        return device_.name + " was not polled: its driver" +
               (device_.driver.empty() ? "" : " (" + device_.driver + ")") +
               " has no NAPI in this configuration, and what is set has no effect";
    const bool compared = before.packets.value_or(0) >= enough_packets;
    const std::string interrupts =
        during.interrupts ? compare("interrupts", before.interrupts_a_packet(), during.interrupts_a_packet(), compared)
                          : "it has no interrupts of its own";
    const Value polls = ratio(during.polls, during.packets);
    return interrupts +
           (polls ? "; " + compare("polls", ratio(before.polls, before.packets), polls, compared) : std::string());
}

std::vector<Observed> Effect::observed() {
    const std::lock_guard lock(mutex_);
    if (!began_)
        return {};
    const Span now = between(*began_, finished_ ? *finished_ : read()), then = before();
    const bool timed = baseline_.has_value();
    const std::string time = rounded(now.seconds) + " s, before: " +
                             (timed ? rounded(then.seconds) + " s" : "since the interface's counters began");
    const std::string interrupts = now.interrupts ? time : "the interface has no interrupts of its own";
    const std::string polls = polls_ ? time : no_polls_;
    const auto counted = [timed](Value value) { return timed ? value : std::nullopt; };
    return {
        {"packets", counted(then.packets), now.packets, time},
        {"interrupts", counted(then.interrupts), now.interrupts, interrupts},
        {"interrupts_a_packet", then.interrupts_a_packet(), now.interrupts_a_packet(), interrupts},
        {"polls", then.polls, now.polls, polls},
        {"empty_polls", then.empty, now.empty, polls},
        {"packets_a_poll", ratio(then.polled, then.polls), ratio(now.polled, now.polls), polls},
        {"effect", std::nullopt, std::nullopt, say(then, now)},
    };
}

} // namespace wirepath::napi
