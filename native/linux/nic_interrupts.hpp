// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "linux/netdev_family.hpp"
#include "linux/sysfs.hpp"

namespace wirepath {

// The interrupts of one NIC: those that its NAPI instances have, those of its PCI device, and those that bear its name
// (/proc/interrupts).
class NicInterrupts {
  public:
    NicInterrupts(std::string name, const Sysfs& sysfs, const std::vector<NapiInstance>& napis);

    // Since boot, on all CPUs; nothing: it has none, as virtual interfaces have none.
    std::optional<std::uint64_t> total() const;

  private:
    bool is_ours(const std::string& line, std::uint64_t number) const;

    std::string name_;
    std::set<std::uint64_t> told_;
};

} // namespace wirepath
