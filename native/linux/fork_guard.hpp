// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "linux/mapping.hpp"

namespace wirepath {

// Knows, without a system call, whether this process is a fork of the one that made it: a page that the kernel wipes on
// fork (madvise(2), MADV_WIPEONFORK).
class ForkGuard {
  public:
    ForkGuard(); // throws Error
    bool in_child() const noexcept { return *static_cast<const volatile unsigned char*>(page_.data()) == 0; }

  private:
    Mapping page_;
};

} // namespace wirepath
