// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/net_tstamp.h>
#include <string>

#include "core/interfaces.hpp"

namespace wirepath {

// A NIC that is told to take the time of every packet it receives, and told what it was told before when this ends.
class HardwareTimestamps {
  public:
    HardwareTimestamps() noexcept = default;
    // Does nothing for Clock::host. Throws Error unsupported if the driver cannot.
    void enable(int socket, const std::string& interface, Clock clock);
    void restore(int socket) noexcept;

  private:
    bool changed_ = false;
    std::string interface_;
    hwtstamp_config before_{};
};

// What a NIC was told of timestamps, told again when this ends, if somebody told it otherwise meanwhile.
class KeptHardwareTimestamps {
  public:
    KeptHardwareTimestamps(int socket, std::string interface) noexcept;
    ~KeptHardwareTimestamps();
    KeptHardwareTimestamps(const KeptHardwareTimestamps&) = delete;
    KeptHardwareTimestamps& operator=(const KeptHardwareTimestamps&) = delete;

  private:
    int socket_;
    std::string interface_;
    hwtstamp_config before_{};
    bool known_;
};

Clock clock_named(const std::string& name); // "host", "adapter", "adapter_unsynced"
std::string name_of(Clock clock);

} // namespace wirepath
