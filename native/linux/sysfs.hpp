// SPDX-License-Identifier: Apache-2.0
// Small files of /sys. /sys/class/net shows the network namespace in which that sysfs was mounted, not the one that a
// thread is in: so this is a sysfs of its own, attached to no directory and gone with its descriptor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "linux/fd.hpp"

namespace wirepath {

class Sysfs {
  public:
    // As the calling thread's network namespace sees it. Where a new view is refused (it takes CAP_SYS_ADMIN), /sys
    // itself if it shows the same interfaces, else nothing: then every reading is empty.
    Sysfs() noexcept;
    explicit operator bool() const noexcept { return static_cast<bool>(root_); }

    // Paths start below /sys: "class/net/eth0/threaded". Nothing: not there, or not to be read.
    std::optional<std::string> read(const std::string& path) const noexcept;
    std::vector<std::string> list(const std::string& directory) const;
    // The last part of where a symbolic link leads; empty: there is none.
    std::string link(const std::string& path) const;
    int write(const std::string& path, const std::string& value) const noexcept; // 0 or the errno

  private:
    Fd root_;
};

} // namespace wirepath
