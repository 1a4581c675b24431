// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/interfaces.hpp"
#include "core/stats.hpp"
#include "core/status.hpp"

namespace wirepath {

class Filter;

// One thing that was asked of the kernel or the device, and what it granted.
struct Granted {
    std::string name, asked, granted;
};

// What a source has measured of its own effect on the host: a figure before it began, and one while it runs.
struct Observed {
    std::string name;                     // "interrupts_a_packet"
    std::optional<double> before, during; // nothing: not known
    std::string detail;                   // of what, over what time; why it is not known
};

struct Info {
    std::string engine;
    std::string mode; // what was granted, in a few words: "zero_copy, native XDP"
    std::vector<Granted> granted;
    std::shared_ptr<InterfaceTable> interfaces; // shared with the other sources of the capture
    std::uint16_t interface = 0;                // the one of this source, where there is one
    std::uint16_t queue = 0;                    // the receive queue or fanout member
    // Readable when receive() has something; to be waited for only after receive() came back with timeout, since some
    // tell of what is new and not of what is left. -1: none (a file, a spinning engine).
    int fd = -1;
    bool takes_packets = false;     // what is captured does not reach the host's network stack
    std::vector<std::string> notes; // what the user should know: queues that are not covered, GRO is on, …
};

// Where the frames are that a source shares with the kernel or a device. None is lost while with_kernel + leased ==
// total.
struct Frames {
    std::uint64_t total = 0;
    std::uint64_t with_kernel = 0; // given to it, and not taken back with a packet
    std::uint64_t leased = 0;      // held by batches, or let go of since the last receive()
};

// Where a filter runs.
enum class Place { none, nic, xdp, kernel, pipeline };

// One receive queue, one receiving thread. Other threads may call interrupt(), stats(), observed()
// and set_filter(), nothing else.
class Source {
  public:
    virtual ~Source() = default;

    virtual const Info& info() const noexcept = 0;

    // nullptr: every packet. Before start() or while running, from any thread. Place::pipeline: the source delivers
    // every packet and its caller filters (FilteredSource does). Throws Error.
    virtual Place set_filter(std::shared_ptr<const Filter> filter) = 0;
    // False while packets that an earlier filter had admitted may still come: the caller filters those too.
    virtual bool filter_settled() const noexcept { return true; }

    virtual void start() = 0; // throws Error
    // Fills the batch, and gives back what the batch held before. A timeout below zero waits without end.
    virtual Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept = 0;
    // Ends a receive() under way, or the next one, at once. From any thread or signal handler.
    virtual void interrupt() noexcept = 0;
    // Leaves the kernel now: no membership, ring or program stays, though leases still hold memory.
    virtual void stop() noexcept = 0;

    virtual Stats stats() = 0;
    // nullopt: there are no frames to count, or no more. Receiving thread only.
    virtual std::optional<Frames> frames() const noexcept { return std::nullopt; }
    // Until now, or until it was stopped. Most have nothing to tell.
    virtual std::vector<Observed> observed() { return {}; }
    // After Status::error, gone, no_buffer or no_space.
    virtual Error fault() const = 0;
};

} // namespace wirepath
