// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "linux/fd.hpp"

namespace wirepath {

// Becomes readable when something about an interface of the thread's network namespace changes (rtnetlink(7)): what it
// was is for its owner to ask.
class LinkWatch {
  public:
    LinkWatch(); // throws Error
    int fd() const noexcept { return fd_.get(); }
    // Forgets what was reported so far.
    void drain() noexcept;

  private:
    Fd fd_;
};

} // namespace wirepath
