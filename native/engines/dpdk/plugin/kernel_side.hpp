// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "linux/fd.hpp"
#include "linux/netdevice.hpp"

namespace wirepath::dpdk {

// The descriptors that this process has open.
std::vector<int> open_descriptors();

// The kernel's interface below a virtual device, and the sockets that DPDK's driver opened on it. The drivers do not
// tell what the kernel dropped for want of room in their rings, nor wait for packets, nor see the interface go: the
// kernel says all that to who asks their sockets.
class KernelSide {
  public:
    explicit KernelSide(NetDevice device) : device_(std::move(device)) {}

    const NetDevice& device() const noexcept { return device_; }
    // A membership, which ends with this process. The drivers would set the interface's flag, which stays.
    void be_promiscuous(); // throws Error

    // Looks among the descriptors that are not `before` for as many sockets as there are queues. None is taken if it is
    // not sure which they are.
    void find_sockets(const std::vector<int>& before, std::uint16_t queues);
    int socket(std::uint16_t queue) const noexcept { return queue < sockets_.size() ? sockets_[queue] : -1; }
    bool over_xdp() const noexcept { return over_xdp_; }

    struct Losses {
        std::uint64_t ring = 0, fill = 0;
    };
    // From here on they count.
    void forget_losses(std::uint16_t queue) noexcept;
    // Of one queue; nothing if its socket is not known.
    std::optional<Losses> losses(std::uint16_t queue) noexcept;
    // The driver does not close them: it was never started.
    void close_sockets() noexcept;

  private:
    bool belongs(int fd) const noexcept;
    void read(std::uint16_t queue) noexcept;

    NetDevice device_;
    Fd promiscuity_;
    bool over_xdp_ = false;
    std::mutex mutex_; // the kernel's counters are cleared as they are read
    std::vector<int> sockets_;
    std::vector<Losses> losses_, before_;
};

} // namespace wirepath::dpdk
