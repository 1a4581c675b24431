// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "linux/fd.hpp"

namespace wirepath::ebpf {

// Keeps an XDP program among those that the kernel's dispatcher calls directly. For every test run of more than one
// frame the kernel writes a dispatcher that knows the program, and waits until no CPU uses the old one (some 25 ms),
// unless it knows it already, since the program is attached somewhere. That somewhere is the loopback interface of a
// network namespace made for it, where no packet ever comes.
class Dispatched {
  public:
    // It takes CAP_SYS_ADMIN. Where that or something else is missing, nothing is kept.
    explicit Dispatched(int program);
    // 0: it is kept; else the errno.
    int error() const noexcept { return error_; }

  private:
    void keep(int program) noexcept;

    Fd netns_; // it ends with its last descriptor, and the attachment with it
    Fd link_;
    int error_ = 0;
};

} // namespace wirepath::ebpf
