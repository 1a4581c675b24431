// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wirepath {

// A process that made sockets in one network namespace.
struct Process {
    std::uint32_t pid = 0;
    std::uint32_t netns = 0; // the inode number, as in /proc/PID/ns/net
    std::string command;     // as in /proc/PID/comm, when it last made a socket
    std::uint64_t cgroup_id = 0;
    std::string cgroup; // its path in the hierarchy of cgroup v2, as we see it; empty: it is gone, or not for us to see

    // "process 812 curl cgroup /user.slice netns 4026531840"
    std::string text() const;
};

// Those that a capture knows of, also after it has ended. Any thread; not for a receive loop: it asks the kernel.
class Processes {
  public:
    virtual ~Processes() = default;
    virtual std::optional<Process> find(std::uint32_t pid, std::uint32_t netns) = 0; // throws std::bad_alloc
    virtual std::vector<Process> all() = 0;                                          // throws std::bad_alloc
};

} // namespace wirepath
