// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/live.hpp"

#include <algorithm>
#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <linux/if_ether.h>
#include <live.skel.h>
#include <sys/mman.h>

#include "core/error.hpp"

namespace wirepath::ebpf {
namespace {

constexpr std::uint32_t small_slot = 2048, large_slot = 4096;

Error cannot_load(int err) {
    return cannot_load_bpf("the sending BPF programs", err, ", tracepoints for them and Linux 6.1 or newer");
}

Fd attached(const bpf_program* program) {
    Fd link(bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_RAW_TP, nullptr));
    if (!link)
        throw cannot_load(errno);
    return link;
}

} // namespace

Live::Live(int ifindex, std::uint32_t frames, std::uint32_t most_bytes)
    : frames_(frames), slot_bytes_(most_bytes + sizeof(live_frame) <= small_slot ? small_slot : large_slot) {
    load(most_bytes);
    memory_ = Mapping::of_fd(bpf_map__fd(skeleton_->maps.frames), std::size_t{frames_} * slot_bytes_);
    memory_.keep_from_children();
    const std::uint32_t only = 0;
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.target), &only, &ifindex, BPF_ANY) != 0)
        throw Error::from_errno("preparing to send to the interface", errno);
    sent_link_ = attached(skeleton_->progs.note_sent);
    refused_link_ = attached(skeleton_->progs.note_refused);
    dispatched_.emplace(bpf_program__fd(skeleton_->progs.wirepath_send));
}

Live::~Live() = default;

void Live::load(std::uint32_t most_bytes) {
    skeleton_ = try_load_skeleton<live_bpf>([&](live_bpf& skeleton) {
        bpf_map__set_max_entries(skeleton.maps.frames, frames_);
        bpf_map__set_value_size(skeleton.maps.frames, slot_bytes_);
        skeleton.rodata->most_bytes = most_bytes;
    });
    if (skeleton_ == nullptr)
        throw cannot_load(errno);
    ::madvise(skeleton_->bss, sizeof *skeleton_->bss, MADV_DONTFORK);
}

live_frame* Live::at(std::uint32_t at) noexcept {
    return reinterpret_cast<live_frame*>(static_cast<std::byte*>(memory_.data()) + std::size_t{at} * slot_bytes_);
}

std::byte* Live::frame(std::uint32_t at) noexcept { return reinterpret_cast<std::byte*>(this->at(at) + 1); }

void Live::set_length(std::uint32_t at, std::uint32_t bytes) noexcept { this->at(at)->length = bytes; }

// The kernel fills each of its pages with the frame that it is given, and the program then writes the real one there:
// what it is given is as long as the longest, so that the program needs only to cut.
LiveOutcome Live::run(std::uint32_t count) noexcept {
    live_run& run = skeleton_->bss->run;
    run = {};
    run.count = count;
    run.given = ETH_HLEN;
    for (std::uint32_t i = 0; i < count; ++i)
        run.given = std::max(run.given, at(i)->length);
    static constexpr std::array<std::byte, live_most_bytes> nothing{};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = nothing.data();
    options.data_size_in = run.given;
    options.repeat = static_cast<int>(count);
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.batch_size = live_bulk; // after each the driver has what was redirected, and the program knows what it took
    const int error = -bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.wirepath_send), &options);
    run.count = 0;
    const std::uint32_t failed = run.dropped + run.refused;
    LiveOutcome outcome{run.sent, failed, run.handed - run.sent - failed, run.error};
    if (outcome.error == 0 && failed == 0 && error != EINTR)
        outcome.error = error;
    return outcome;
}

} // namespace wirepath::ebpf
