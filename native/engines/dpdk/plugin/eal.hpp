// SPDX-License-Identifier: Apache-2.0
// DPDK's environment (EAL): memory, threads, drivers. It starts once a process, when the first device is opened, and
// stays. Devices come and go after that.
#pragma once

#include <mutex>
#include <string>

#include "core/error.hpp"
#include "engines/dpdk/settings.hpp"

namespace wirepath::dpdk {

class Eal {
  public:
    // Started if it was not. Throws Error; after some errors DPDK cannot be started again in this process.
    static Eal& get(const Settings& settings);

    bool huge_pages() const noexcept { return huge_pages_; }
    bool physical_addresses() const noexcept { return physical_; } // are what devices are given: no IOMMU
    // Devices are plugged and unplugged by one thread at a time.
    std::mutex& plugging() noexcept { return plugging_; }

  private:
    void start(const Settings& settings);
    void check(const Settings& settings) const;

    std::mutex plugging_;
    int process_ = 0; // that it was started in
    bool huge_pages_ = false, physical_ = false;
};

// An Error with what DPDK logged about it. `err` is an errno, or DPDK's negative one.
Error dpdk_error(Code code, const std::string& doing, int err, const std::string& hint = {});

} // namespace wirepath::dpdk
