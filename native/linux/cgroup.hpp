// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "linux/fd.hpp"

namespace wirepath {

// The hierarchy of cgroup v2 (cgroups(7)), from the root that this process sees.
class Cgroups {
  public:
    // Where it is mounted, or, if nowhere, in a mount that nobody else sees. No descriptor: this kernel or our
    // privileges do not allow that.
    static Cgroups open();

    explicit operator bool() const noexcept { return static_cast<bool>(root_); }
    int root() const noexcept { return root_.get(); }
    // From that root, beginning with /. Empty: it is gone, or not below our root, or this needs CAP_DAC_READ_SEARCH.
    std::string path_of(std::uint64_t id) const;

  private:
    Fd root_;
};

} // namespace wirepath
