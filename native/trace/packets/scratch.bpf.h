/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs share: what they were told, what they count, and where they work. */
#ifndef WIREPATH_TRACE_SCRATCH_H
#define WIREPATH_TRACE_SCRATCH_H

#include "trace/packets/identity.bpf.h"

enum {
    CHECKS = trace_hook_checks,
    FORGETS = trace_hook_forgets,
    KNOWN = trace_hook_known,
    ENDS = 8,
    DROPS = 16,
    OPAQUE = 32,
    GRO = 64,
};
enum { ONE, LIST, HEAD };

enum hook {
#define WIREPATH_TRACEPOINT(name, ...) hook_##name,
#define WIREPATH_COPY(name, ...) hook_##name,
#define WIREPATH_MARK(name, ...) hook_##name,
#include "trace/packets/hooks.def"
#undef WIREPATH_TRACEPOINT
#undef WIREPATH_COPY
#undef WIREPATH_MARK
};

const volatile __u32 snaplen = trace_filter_window;
const volatile __u32 filter_asks = 1;   /* for more than bytes: a tag, a direction, an interface */
const volatile __u32 wake_at = 1 << 20; /* bytes in the ring */
const volatile __u64 limit = 0;         /* packets; 0: all that match */

/* What the reader looks at. */
volatile __u32 running = 0;
__u64 packets = 0;
__u64 lost = 0;   /* events for which the ring had no room */
__u64 missed = 0; /* hooks passed while this CPU was in the midst of too many others */

struct {
    __uint(type, map_ring);
    __uint(max_entries, 8 << 20);
} ring SEC(".maps");

/* A program may be interrupted by another on the same CPU: each depth has its own. */
enum { deepest = 4 };

struct scratch {
    struct sight sight;
    __u64 skb, head, dev, cookie;
    __u32 netns, ifindex, arphrd;
    struct fingerprint print;
    __u32 l3;
    __u32 holders, gso, flags;
    struct trace_event event;
    __u8 payload[trace_longest_snaplen];
};

struct {
    __uint(type, map_percpu_array);
    __uint(max_entries, deepest);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

struct here {
    __u32 depth;
    __u64 gro; /* the skb that GRO is at */
    /* The packet that an XDP program has, or had before the driver makes an skb of it. */
    __u64 xdp_packet;
    struct fingerprint xdp_print;
    __u32 xdp_told;
};

struct {
    __uint(type, map_percpu_array);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct here);
} cpus SEC(".maps");

static __always_inline struct here* this_cpu(void) {
    const __u32 zero = 0;
    return bpf_map_lookup_elem(&cpus, &zero);
}

static __always_inline void begin(struct scratch* s, __u64 skb) {
    s->skb = skb;
    s->head = s->dev = 0;
    s->holders = s->gso = s->flags = 0;
    s->sight.start = 0;
    s->netns = s->ifindex = 0;
}

static __always_inline struct scratch* enter(struct here* here) {
    const __u32 depth = __sync_fetch_and_add(&here->depth, 1);
    struct scratch* s = depth < deepest ? bpf_map_lookup_elem(&scratches, &depth) : 0;
    if (!s)
        __sync_fetch_and_add(&missed, 1);
    return s;
}

static __always_inline void leave(struct here* here) { __sync_fetch_and_add(&here->depth, -1); }

/* Makes a number of a pointer: functions that are verified by themselves take only those. */
static __always_inline __u64 number(__u64 value) {
    volatile __u64 kept;
    bpf_probe_read_kernel((void*)&kept, sizeof kept, &value);
    return kept;
}

#endif
