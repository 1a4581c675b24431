/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sends: each live frame of a test run (BPF_PROG_RUN) becomes the next of the engine's, and goes to the interface's
 * driver as a redirected one. What the driver took of it, only tracepoints tell. */
#include "bpf/vmlinux.h"

#include <asm-generic/errno.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "engines/ebpf/live.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define ETH_HLEN 14

const volatile __u32 most_bytes = 2040; /* of a frame: of the map's values, less their header */

struct live_run run;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 256);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, 2048);
} frames SEC(".maps");

/* The interface. A map holds on to it, whichever network namespace the thread that sends is in, until it is gone. */
struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, sizeof(__u32));
} target SEC(".maps");

static __always_inline int stop(int error) {
    run.error = error;
    run.stopped = 1;
    return XDP_DROP;
}

SEC("xdp")
int wirepath_send(struct xdp_md* ctx) {
    const __u32 at = run.handed;
    if (run.stopped || at >= run.count)
        return XDP_DROP;
    struct live_frame* frame = bpf_map_lookup_elem(&frames, &at);
    if (!frame)
        return stop(EINVAL);
    const __u32 length = frame->length;
    if (length < ETH_HLEN || length > most_bytes)
        return stop(EINVAL);
    if (bpf_xdp_adjust_tail(ctx, (int)length - (int)run.given) || bpf_xdp_store_bytes(ctx, 0, frame + 1, length))
        return stop(EMSGSIZE);
    run.cpu = bpf_get_smp_processor_id();
    const long action = bpf_redirect_map(&target, 0, XDP_DROP);
    if (action != XDP_REDIRECT)
        return stop(ENODEV);
    run.handed = at + 1;
    return XDP_REDIRECT;
}

/* Other redirected frames pass the tracepoints, too, but not on this CPU while ours are under way: until they are given
 * to the driver, nothing else runs there that could send any. */
static __always_inline int is_ours(void) {
    return run.handed != run.sent + run.dropped + run.refused && bpf_get_smp_processor_id() == run.cpu;
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(note_sent, const struct net_device* from, const struct net_device* to, int sent, int drops, int error) {
    if (!is_ours())
        return 0;
    run.sent += sent;
    if (drops) {
        run.dropped += drops;
        stop(-error);
    }
    return 0;
}

SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(note_refused, const struct net_device* from, const void* program, const void* to, int error) {
    if (!is_ours())
        return 0;
    ++run.refused;
    stop(-error);
    return 0;
}
