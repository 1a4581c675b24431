// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "linux/fd.hpp"
#include "linux/fork_guard.hpp"
#include "linux/holder.hpp"

namespace wirepath {

// A small process of its own (native/keeper/) that takes back what a holder has changed on the host, when it is told to
// or when the holder ends, however it ends. It keeps the rights that this process may give up: the kernel asks for
// them when a setting is written, also through a descriptor that was opened before.
class Keeper {
  public:
    // It is in the calling thread's network namespace.
    explicit Keeper(const Holder& holder);
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() { put_back(); }

    bool runs() const noexcept { return said_.get() >= 0; }
    const std::string& why_not() const noexcept { return why_not_; }

    // Returns when it has. False: it does not run (any more), or did not answer in time.
    bool put_back() noexcept;

  private:
    void start(const Holder& holder);

    ForkGuard fork_guard_;
    Fd told_, said_; // to it, from it
    std::string why_not_;
};

} // namespace wirepath
