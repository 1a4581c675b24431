// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/dispatched.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sched.h>
#include <thread>

namespace wirepath::ebpf {
namespace {

constexpr int loopback = 1; // in every network namespace

} // namespace

// On a thread of its own: the caller's stays in its namespace whatever happens.
Dispatched::Dispatched(int program) {
    std::thread([this, program] { keep(program); }).join();
}

void Dispatched::keep(int program) noexcept {
    if (::unshare(CLONE_NEWNET) == 0)
        netns_ = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (netns_) {
        LIBBPF_OPTS(bpf_link_create_opts, options);
        options.flags = XDP_FLAGS_SKB_MODE;
        link_ = Fd(bpf_link_create(program, loopback, BPF_XDP, &options));
    }
    if (!link_)
        error_ = errno;
}

} // namespace wirepath::ebpf
