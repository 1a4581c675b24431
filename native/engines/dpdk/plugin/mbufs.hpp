// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <rte_mbuf.h>
#include <string>
#include <vector>

#include "core/lease.hpp"

namespace wirepath::dpdk {

// The packet buffers of one queue, in one range of our own memory, and which of them a batch holds. A lease covers the
// buffers of one batch; they come back together. Receiving thread only; the memory lives as long as the last lease,
// also when DPDK has forgotten it.
class Mbufs {
  public:
    // `room`: bytes for a packet. `kept`: buffers that the driver has at any time. Throws Error.
    Mbufs(std::uint32_t count, std::uint16_t room, std::uint32_t kept, bool physical_addresses);
    ~Mbufs() = default; // in a child of the process that made it, DPDK is let be
    Mbufs(const Mbufs&) = delete;
    Mbufs& operator=(const Mbufs&) = delete;

    rte_mempool* pool() noexcept { return pool_; }
    std::byte* base() noexcept { return static_cast<std::byte*>(leases_->memory().data()); }
    std::size_t bytes() const noexcept { return leases_->memory().size(); }
    std::uint32_t count() const noexcept { return count_; }

    // How many the next batch may hold: half of them, and all that the driver keeps, stay.
    std::uint32_t lendable() const noexcept { return free_slots_.empty() ? 0 : most_leased_ - leased_; }
    // Begins a batch of at least one. lend() adds one, of a single segment.
    Lease begin_batch() noexcept;
    void lend(rte_mbuf* mbuf) noexcept;
    // Those whose batch was let go are free again.
    void take_back() noexcept;
    // The device is closed: nothing of it is left to DPDK.
    void close() noexcept;

  private:
    void populate(bool physical_addresses);

    std::uint32_t count_, most_leased_, leased_ = 0;
    std::size_t bytes_ = 0;
    rte_mempool* pool_ = nullptr;
    LeasePool::Ref leases_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<rte_mbuf*> first_; // of a slot's buffers, linked by their `next`
    std::vector<std::uint32_t> held_;
    std::uint32_t open_ = 0; // the slot under construction
};

} // namespace wirepath::dpdk
