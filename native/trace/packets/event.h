/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs in the kernel tell their reader: one of these an event. */
#ifndef WIREPATH_TRACE_EVENT_H
#define WIREPATH_TRACE_EVENT_H

#ifndef WIREPATH_VMLINUX_H
#include <linux/types.h>
#endif

enum {
    trace_longest_snaplen = 256, /* a power of two */
    trace_filter_window = 128,   /* bytes that are copied before the filter runs; it can look further, at a price */
    trace_longest_program = 4096,
};

/* Bits of trace_event::flags. */
enum {
    trace_first = 1,   /* of its packet: the packet's bytes follow */
    trace_ended = 2,   /* of its skb */
    trace_dropped = 4, /* detail: the reason, location: where */
    trace_copied = 8,  /* the skb was made from the one whose address is in detail */
    trace_unknown_context = 16,
    trace_softirq = 32,
    trace_hardirq = 64,
    trace_gso = 128,
    trace_inferred = 256, /* from what else was seen: the kernel does not say it of this skb */
};

struct trace_event {
    __u64 ts_ns;    /* CLOCK_MONOTONIC */
    __u64 packet;   /* an identity: kept through clones, copies and rebuilt headers; from 1 */
    __u64 skb;      /* its address; 0: XDP, there is none yet */
    __u64 detail;   /* what the hook says: a drop reason, a number of bytes, an XDP action */
    __u64 location; /* an address in the kernel's code */
    __u32 hook;     /* its row: tracepoints, then functions */
    __u32 cpu;
    __u32 pid, tid;
    __u32 netns; /* inode; 0: unknown */
    __u32 ifindex;
    __u32 len;      /* of the skb, now */
    __u32 origlen;  /* of the packet, from where its bytes begin */
    __u16 linktype; /* of its bytes: 1 EN10MB, 101 RAW */
    __u16 caplen;   /* bytes that follow */
    __u16 vlan_tci, vlan_tpid;
    __u16 flags;
    __u16 holders; /* at an end: how many other skbs hold the same bytes */
    char comm[16];
    char interface[16];
};

/* One classic BPF instruction. */
struct trace_instruction {
    __u16 code;
    __u8 jt, jf;
    __u32 k;
};

/* In the cookie of a function's hook, above its number. */
enum {
    trace_hook_checks = 1,  /* a packet may begin here on an address that another had before */
    trace_hook_forgets = 2, /* frees the skb: its end, if it has not been seen to end */
    trace_hook_known = 4,   /* may be called for an skb that is being freed: no packet begins here */
};

#endif
