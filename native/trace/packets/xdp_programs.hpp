// SPDX-License-Identifier: Apache-2.0
// The XDP programs of this host, each between two of ours.
#pragma once

#include <map>
#include <vector>

#include "trace/packets/attach.hpp"

namespace wirepath::trace {

struct AroundXdp {
    std::vector<BpfSkeleton<follow_bpf>> programs; // before links: they are detached first
    std::vector<Link> links;
    std::map<std::uint64_t, std::string> names; // of the host's programs, by id
    std::vector<std::string> refused;           // "name: why"
};

// Those that are loaded now. The maps are those of `follow`.
AroundXdp attach_around_xdp(const follow_bpf& follow);

} // namespace wirepath::trace
