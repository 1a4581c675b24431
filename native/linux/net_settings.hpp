// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linux/fd.hpp"
#include "linux/host_changes.hpp"
#include "linux/netdev_family.hpp"
#include "linux/sysfs.hpp"

namespace wirepath {

// How network interfaces poll: napi_defer_hard_irqs, gro_flush_timeout and threaded, of an interface as a whole (sysfs)
// or of one NAPI instance (netlink). Of the network namespace that the calling thread was in when it was made, wherever
// its owner is now.
class NetSettings final : public SettingAccess {
  public:
    NetSettings(); // throws Error

    const std::string& scope() const noexcept override { return scope_; }
    std::optional<std::string> read(const HostSetting& setting) override;
    int write(const HostSetting& setting, const std::string& value) override;

    HostSetting of_interface(int ifindex, const std::string& name) const;
    HostSetting of_napi(int ifindex, std::uint32_t napi, const std::string& name) const;
    std::vector<NapiInstance> napis(int ifindex) const { return netdev_.napis(ifindex); }
    const Sysfs& sysfs() const noexcept { return sysfs_; }

  private:
    std::string file_of(int ifindex, const std::string& name) const;

    std::string scope_;
    Fd socket_; // of the namespace
    Sysfs sysfs_;
    NetdevFamily netdev_;
};

// Puts back what captures that were killed have left in the calling thread's network namespace. How many settings that
// were; none where it takes more rights than this process has.
std::size_t heal_network_settings() noexcept;
// What is still to be put back there.
std::vector<HostSetting> network_settings_left_behind();

} // namespace wirepath
