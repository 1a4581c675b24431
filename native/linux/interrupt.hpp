// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <poll.h>

#include "core/status.hpp"
#include "linux/fd.hpp"

namespace wirepath {

// Ends a wait from any thread or signal handler (eventfd(2)). One raise() ends one wait.
class Interrupt {
  public:
    Interrupt(); // throws Error
    void raise() noexcept;
    // True once for each raise() (or for several before it). No system call when there was none.
    bool take() noexcept;
    // Readable while raised, and for a moment longer where take() came between the two steps of a raise(): who polls it
    // calls take_readable() then, or would find it readable for ever.
    int fd() const noexcept { return event_.get(); }
    bool take_readable() noexcept;

    // Waits until fd is readable (or what else poll(2) is asked for) or has an error (ok), the interrupt is raised
    // (interrupted, and taken), a signal or the timeout ends it (timeout). `revents` gets poll's bits of fd. An fd
    // below zero never is; a timeout below zero waits without end.
    Status wait(int fd, std::chrono::nanoseconds timeout, short& revents, short events = POLLIN) noexcept;
    // Waits for so long, if nothing ends it (timeout).
    Status pause(std::chrono::nanoseconds time) noexcept;

  private:
    Fd event_;
    std::atomic<bool> raised_{false};
};

} // namespace wirepath
