// SPDX-License-Identifier: Apache-2.0
// What becomes of frames after a driver took them. rte_eth_tx_burst does not tell, and each kind of device has another
// way to find out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/sender.hpp"
#include "engines/dpdk/plugin/port.hpp"
#include "linux/room.hpp"

namespace wirepath::dpdk {

class Outflow {
  public:
    virtual ~Outflow() = default;

    // Sending thread. How many frames the driver takes for sure without waiting within.
    virtual std::uint32_t room() noexcept = 0;
    // It took these.
    virtual void took(std::uint32_t frames) noexcept = 0;
    // Whether all of them are done with.
    virtual bool done() noexcept = 0;
    // Until there may be room, or less under way. As Room's.
    virtual Status wait(Deadline deadline) noexcept = 0;

    struct Account {
        std::optional<std::uint64_t> completed;
        std::uint64_t lost = 0; // of those that it took
    };
    // Any thread.
    virtual Account account() noexcept = 0;
};

// For the first queue of a port that was started.
std::unique_ptr<Outflow> outflow_of(Port& port, Room& room, SendCounters& counters);

} // namespace wirepath::dpdk
