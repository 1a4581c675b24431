// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/processes.hpp"
#include "engines/ebpf/layout.h"
#include "linux/cgroup.hpp"
#include "linux/fd.hpp"

struct packets_bpf;

namespace wirepath::ebpf {

// Its inode number; 0: it cannot be known.
std::uint32_t own_pid_namespace() noexcept;

// What the programs noted of the processes that made sockets. It holds their map, so it outlives them.
class ProcessTable final : public Processes {
  public:
    explicit ProcessTable(int map); // throws Error

    std::optional<Process> find(std::uint32_t pid, std::uint32_t netns) override;
    std::vector<Process> all() override;
    const Cgroups& cgroups() const noexcept { return cgroups_; }

  private:
    const std::string& cgroup_path(std::uint64_t id);

    Fd map_;
    Cgroups cgroups_;
    std::mutex mutex_;
    std::map<std::uint64_t, std::string> paths_; // cgroups that were asked for; an id is never used again
};

// The programs that note who makes sockets, while this lives. They end with the process.
class SocketMakers {
  public:
    // Also notes the sockets that are there. Throws Error.
    SocketMakers(const packets_bpf& skeleton, const Cgroups& cgroups);
    // What the user should know; empty: nothing.
    const std::string& note() const noexcept { return note_; }

  private:
    Fd link_; // to the root cgroup
    std::string note_;
};

} // namespace wirepath::ebpf
