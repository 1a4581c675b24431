// SPDX-License-Identifier: Apache-2.0
#include "trace/polls.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <polls.skel.h>
#include <vector>

#include "core/error.hpp"
#include "linux/bpf.hpp"
#include "linux/fd.hpp"

namespace wirepath::trace {

struct PollCounter::Attached {
    BpfSkeleton<polls_bpf> skeleton;
    Fd tracepoint;
};

PollCounter::PollCounter(std::uint32_t ifindex, std::uint32_t netns) : attached_(std::make_unique<Attached>()) {
    attached_->skeleton = try_load_skeleton<polls_bpf>([&](polls_bpf& skeleton) {
        skeleton.rodata->ifindex = static_cast<int>(ifindex);
        skeleton.rodata->netns = netns;
    });
    if (!attached_->skeleton)
        throw cannot_load_bpf("the program that counts polls", errno, "");
    const int program = bpf_program__fd(attached_->skeleton->progs.count_poll);
    attached_->tracepoint = Fd(bpf_raw_tracepoint_open("napi_poll", program));
    if (!attached_->tracepoint)
        throw Error::from_errno("attaching to the tracepoint napi_poll", errno);
}

PollCounter::~PollCounter() = default;

poll_counts PollCounter::read() const {
    const int cpus = libbpf_num_possible_cpus();
    std::vector<poll_counts> each(static_cast<std::size_t>(cpus > 0 ? cpus : 1));
    const std::uint32_t key = 0;
    if (cpus <= 0 || bpf_map_lookup_elem(bpf_map__fd(attached_->skeleton->maps.counts), &key, each.data()) != 0)
        throw Error::from_errno("reading how often an interface was polled", errno);
    poll_counts sum{};
    for (const poll_counts& counted : each) {
        sum.polls += counted.polls;
        sum.packets += counted.packets;
        sum.empty += counted.empty;
        sum.full += counted.full;
    }
    return sum;
}

} // namespace wirepath::trace
