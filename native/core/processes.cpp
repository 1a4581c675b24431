// SPDX-License-Identifier: Apache-2.0
#include "core/processes.hpp"

namespace wirepath {

std::string Process::text() const {
    std::string text = "process " + std::to_string(pid) + " " + command;
    if (!cgroup.empty())
        text += " cgroup " + cgroup;
    else if (cgroup_id != 0)
        text += " cgroup id " + std::to_string(cgroup_id);
    return text + " netns " + std::to_string(netns);
}

} // namespace wirepath
