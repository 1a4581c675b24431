// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "engines/ebpf/dispatched.hpp"
#include "engines/ebpf/live.h"
#include "linux/bpf.hpp"
#include "linux/fd.hpp"
#include "linux/mapping.hpp"

struct live_bpf; // the skeleton, made by bpftool

namespace wirepath::ebpf {

// What came of a run: of the frames, from the first one, `sent`; behind them those that the kernel or the driver did
// not take.
struct LiveOutcome {
    std::uint32_t sent = 0;
    std::uint32_t failed = 0;  // of the next ones; the rest was not tried
    std::uint32_t unknown = 0; // handed over, and nobody said what became of them
    int error = 0;             // of the failed ones, 0: the driver had no room. Or of the run itself
};

// The programs that send, the frames that they send, and the interface that they send to: it is found in the network
// namespace of the thread that makes this one, sending can any thread.
class Live {
  public:
    // frames: that one run may send at the most; most_bytes: of a frame. Throws Error: permission, unsupported.
    Live(int ifindex, std::uint32_t frames, std::uint32_t most_bytes);
    ~Live();
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

    // Where a frame's bytes go, and how many they are.
    std::byte* frame(std::uint32_t at) noexcept;
    void set_length(std::uint32_t at, std::uint32_t bytes) noexcept;
    // Sends the first `count` of them.
    LiveOutcome run(std::uint32_t count) noexcept;

    // Frames that a run can have. One, if the kernel would have to be waited for with more.
    std::uint32_t most_frames() const noexcept { return dispatched_->error() == 0 ? frames_ : 1; }
    int why_one() const noexcept { return dispatched_->error(); }

  private:
    void load(std::uint32_t most_bytes);
    void attach();
    live_frame* at(std::uint32_t at) noexcept;

    const std::uint32_t frames_, slot_bytes_;
    std::unique_ptr<live_bpf, DestroySkeleton<live_bpf>> skeleton_;
    Mapping memory_;
    Fd sent_link_, refused_link_;
    std::optional<Dispatched> dispatched_;
};

} // namespace wirepath::ebpf
