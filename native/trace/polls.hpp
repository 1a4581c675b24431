// SPDX-License-Identifier: Apache-2.0
// How often the kernel polls an interface, and how much comes of it: the tracepoint napi:napi_poll, counted in the
// kernel.
#pragma once

#include <cstdint>
#include <memory>

#include "trace/polls.h"

namespace wirepath::trace {

class PollCounter {
  public:
    // netns: the inode number of the interface's network namespace. Throws Error: unsupported or permission.
    PollCounter(std::uint32_t ifindex, std::uint32_t netns);
    ~PollCounter();
    PollCounter(PollCounter&&) = delete;

    poll_counts read() const; // since the counter was made; throws Error

  private:
    struct Attached;
    std::unique_ptr<Attached> attached_;
};

} // namespace wirepath::trace
