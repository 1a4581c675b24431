/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For a program of yours inside Wirepath's engine ebpf, at tc or at XDP:
 *
 *     #include "wirepath.bpf.h"
 *
 *     int wirepath_decide(void *ctx, struct wirepath_packet *packet)
 *     {
 *         packet->mark = packet->length;
 *         return packet->outbound ? WIREPATH_PASS : WIREPATH_CAPTURE;
 *     }
 *
 * It sees the packets that the filter lets through. docs/ebpf.md tells the rest. */
#ifndef WIREPATH_BPF_H
#define WIREPATH_BPF_H

#if !defined(__VMLINUX_H__) && !defined(WIREPATH_VMLINUX_H) /* bpftool's, or the one that Wirepath is built with */
#include <linux/bpf.h>
#endif
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* What becomes of a packet. Only in the engine's mode take is one kept from the network stack. */
enum wirepath_fate {
    WIREPATH_CAPTURE = 0, /* into the ring, and in mode tap on to the stack */
    WIREPATH_TAP = 1,     /* into the ring, and on to the stack in both modes */
    WIREPATH_PASS = 2,    /* on to the stack only */
    WIREPATH_DROP = 3,    /* neither; in mode tap as WIREPATH_PASS */
};

enum wirepath_hook {
    WIREPATH_XDP = 1, /* ctx is a struct xdp_md */
    WIREPATH_TC = 2,  /* ctx is a struct __sk_buff */
};

struct wirepath_packet {
    __u32 mark;   /* for you to set: what arrives in the column `mark` */
    __u32 length; /* of the packet, whatever the snaplen is */
    __u32 ifindex;
    __u16 queue;     /* that it was received on */
    __u16 outbound;  /* 1: this host sends it */
    __u16 vlan_tpid; /* of a tag beside the bytes, in the host's byte order; 0: none */
    __u16 vlan_tci;
};

/* Where the program runs, an enum wirepath_hook. The verifier knows it: what is for the other hook is not even checked.
 */
extern const volatile __u32 wirepath_hook;

/* Yours to write. Hidden, so that the verifier looks at it together with its caller and knows what ctx is. Leave the
 * packet's bytes as they are. */
__attribute__((visibility("hidden"))) int wirepath_decide(void* ctx, struct wirepath_packet* packet);

/* Copies bytes of the packet, at either hook, also what is not in its linear part. Not 0: it is shorter than that. */
static __attribute__((always_inline)) inline long wirepath_load(void* ctx, __u32 offset, void* to, __u32 length) {
    if (wirepath_hook == WIREPATH_XDP)
        return bpf_xdp_load_bytes((struct xdp_md*)ctx, offset, to, length);
    return bpf_skb_load_bytes(ctx, offset, to, length);
}

#endif
