// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Redirects each live test-run frame out of one interface, as fast as it can or at an even pace, and counts the time
// that the kernel's receive softirq takes.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NET_RX_SOFTIRQ 3
#define CPUS 1024

const volatile int out_ifindex = 0;
const volatile __u32 burst = 64;   // frames that follow each other without a pause
const volatile __u64 burst_ns = 0; // from the begin of one burst to that of the next; 0: no pause
const volatile __u64 longest_catching_up_ns = 5000000;

__u64 frames = 0;
__u64 due_ns = 0;
__u64 began_ns[CPUS] = {};
__u64 net_rx_ns[CPUS] = {};

static int not_yet(__u32 turn, void* unused) {
    return bpf_ktime_get_ns() >= due_ns; // 1 ends the loop
}

static __always_inline void keep_pace(void) {
    __u64 now = bpf_ktime_get_ns();
    due_ns += burst_ns;
    if (due_ns + longest_catching_up_ns < now)
        due_ns = now;
    if (due_ns > now)
        bpf_loop(1 << 20, not_yet, 0, 0);
}

SEC("xdp")
int redirect(struct xdp_md* ctx) {
    if (burst_ns != 0 && frames % burst == 0)
        keep_pace();
    ++frames;
    return bpf_redirect(out_ifindex, 0);
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_begins, unsigned int which) {
    __u32 cpu = bpf_get_smp_processor_id();
    if (which == NET_RX_SOFTIRQ && cpu < CPUS)
        began_ns[cpu] = bpf_ktime_get_ns();
    return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_ends, unsigned int which) {
    __u32 cpu = bpf_get_smp_processor_id();
    if (which == NET_RX_SOFTIRQ && cpu < CPUS && began_ns[cpu] != 0)
        net_rx_ns[cpu] += bpf_ktime_get_ns() - began_ns[cpu];
    return 0;
}

char _license[] SEC("license") = "GPL";
