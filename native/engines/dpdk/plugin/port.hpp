// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <rte_ethdev.h>
#include <string>
#include <vector>

#include "core/source.hpp"
#include "engines/dpdk/plugin/eal.hpp"
#include "engines/dpdk/plugin/kernel_side.hpp"
#include "engines/dpdk/plugin/libxdp.hpp"
#include "engines/dpdk/plugin/mbufs.hpp"
#include "engines/dpdk/plugin/plan.hpp"
#include "linux/fork_guard.hpp"
#include "linux/netns.hpp"

namespace wirepath::dpdk {

// An interface belongs to one capture of a process: net_af_packet's sockets would join those of another one in a fanout
// group, and share the packets with them.
class Claim {
  public:
    explicit Claim(const NetDevice& device); // of the thread's network namespace; throws Error busy
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    void wait_for_the_kernel() const; // where this process had AF_XDP sockets just now

  private:
    std::string what_;
};

// One device of DPDK's, plugged and configured: shared by the sources of its queues, and unplugged with the last of
// them.
class Port {
  public:
    explicit Port(const Settings& settings); // throws Error
    ~Port() { close(); }
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    std::uint16_t id() const noexcept { return id_; }
    const Plan& plan() const noexcept { return plan_; }
    const Settings& settings() const noexcept { return settings_; }
    const std::shared_ptr<Mbufs>& mbufs(std::uint16_t queue) const { return mbufs_.at(queue); }
    KernelSide* kernel() noexcept { return kernel_ ? &*kernel_ : nullptr; }

    Interface interface() const;
    std::string driver() const { return info_.driver_name != nullptr ? info_.driver_name : ""; }
    bool huge_pages() const noexcept { return eal_.huge_pages(); }
    int interrupt_fd(std::uint16_t queue) const noexcept; // -1: there is none

    void start();                            // once; throws Error
    void forget_losses(std::uint16_t queue); // those so far were before the capture

    struct Losses {
        std::optional<std::uint64_t> nic, link, ring, fill;
    };
    Losses losses(std::uint16_t queue) noexcept;
    // What the driver counts beside that (xstats), of all queues, since forget_losses(0): mbufs that it could not get,
    // and all else that is not 0. One thread at a time, and none in losses(0) then.
    std::vector<Observed> counters() const;

  private:
    std::vector<std::uint64_t> read_counters() const;
    void plug();
    void know_the_kernel();
    void configure();
    bool try_configure(bool interrupts);
    void set_up_queues();
    int set_up_queue(std::uint16_t queue, int node); // 0, or DPDK's negative errno
    std::string in_the_way() const;
    void let_it_reach(Mbufs& mbufs);
    void close() noexcept;
    void unplug() noexcept;
    void close_in_its_namespace(std::uint16_t id) noexcept;
    void close_device(std::uint16_t id) noexcept;

    const Settings settings_;
    Eal& eal_;
    ForkGuard fork_guard_;
    const Netns netns_; // drivers look their interface up again when they are closed
    std::optional<Claim> claim_;
    std::optional<KernelSide> kernel_;
    LibxdpDescriptors libxdp_; // of net_af_xdp
    std::string name_;         // DPDK's, of the device
    std::uint16_t id_ = RTE_MAX_ETHPORTS;
    rte_eth_dev_info info_{};
    Plan plan_;
    bool interrupts_ = false;
    std::vector<std::shared_ptr<Mbufs>> mbufs_;
    std::vector<std::pair<std::byte*, std::size_t>> reachable_; // memory that the device's IOMMU was told of
    bool started_ = false, broken_ = false;
    rte_eth_stats before_{};
    std::vector<std::uint64_t> counters_before_; // by their numbers
};

} // namespace wirepath::dpdk
