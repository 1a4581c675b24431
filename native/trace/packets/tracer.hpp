// SPDX-License-Identifier: Apache-2.0
// Follows packets through the kernel: programs at many hooks, and the events that they tell.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "filter/filter.hpp"
#include "trace/packets/event.h"

namespace wirepath::trace {

// A place in the kernel where a packet can be seen. Its row is trace_event::hook.
struct Hook {
    std::string function; // or tracepoint
    std::string kind;     // tracepoint, function, copy, mark
    std::string group;    // what --probe takes
    std::string stage;    // in words
    std::string reason;   // why it is not in use; empty: it is
    std::uint32_t flags = 0;
    unsigned argument = 0; // of a function
};

struct TracerOptions {
    std::vector<Instruction> with_mac, without_mac; // the filter for either kind of packet; empty: every packet
    std::uint32_t snaplen = 128;                    // bytes of each packet, at first sight; at most 256
    std::uint64_t limit = 0;                        // packets; 0: all that match
    std::uint32_t ring_bytes = 8 << 20;             // a power of two
    std::vector<std::string> probes;                // groups, functions, tracepoints; empty: all that are listed
    bool all_functions = false;                     // also those that are not: all that take an skb
};

// What happened to events on their way. Cumulative.
struct TracerCounts {
    std::uint64_t packets = 0; // that matched and are followed
    std::uint64_t lost = 0;    // the reader came too late for them
    std::uint64_t missed = 0;  // hooks passed while another program held the CPU
};

class Tracer {
  public:
    explicit Tracer(const TracerOptions& options); // in the kernel when it returns; throws Error
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    const std::vector<Hook>& hooks() const noexcept;
    // What this kernel does not allow, a line each.
    const std::vector<std::string>& notes() const noexcept;

    // What has come, or comes before the timeout: events one after the other, and the bytes of packets, in the order of
    // the events that have trace_first. Times are ns since 1970. One thread. Throws Error.
    void read(std::vector<trace_event>& events, std::vector<std::uint8_t>& bytes, std::chrono::milliseconds timeout);
    void stop() noexcept; // leaves the kernel; what is in the ring can still be read
    TracerCounts counts() const;

    std::string place_of(std::uint64_t location) const;  // a function's name; empty: not known
    std::string drop_reason(std::uint32_t reason) const; // by the kernel's name for it

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The verdict of the filter's machine in the kernel, for each of these: for tests. Throws Error.
std::vector<bool> judge_in_kernel(const std::vector<Instruction>& program, const std::vector<Packet>& packets);

} // namespace wirepath::trace
