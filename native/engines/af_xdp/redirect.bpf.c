/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hands every packet of a receive queue that the filter lets through to the AF_XDP socket of that queue, with the time
 * and the VLAN tag in front of it. What it rejects goes on to the network stack, and so does a queue that has no
 * socket. One of the three `take` programs is loaded. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/filter.bpf.h"
#include "bpf/xdp_tag.bpf.h"
#include "engines/af_xdp/metadata.h"

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile int ifindex = 0;
const volatile int with_metadata = 1;

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

/* What the filter rejected, by queue. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} rejected SEC(".maps");

static __always_inline int pass_on(__u32 queue) {
    __u64* count = bpf_map_lookup_elem(&rejected, &queue);
    if (count)
        ++*count; /* this CPU's own */
    return XDP_PASS;
}

static __always_inline int redirect(struct xdp_md* ctx, struct tag tag) {
    if (!filter_packet(ctx, (__u32)tag.tpid << 16 | tag.tci))
        return pass_on(ctx->rx_queue_index);
    if (with_metadata && bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct packet_metadata)) == 0) {
        struct packet_metadata* to = (void*)(long)ctx->data_meta;
        if ((void*)(to + 1) <= (void*)(long)ctx->data) {
            to->ts_tai_ns = bpf_ktime_get_tai_ns();
            to->vlan_tci = tag.tci;
            to->vlan_tpid = tag.tpid;
            to->present = 1;
        }
    }
    return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

SEC("xdp.frags")
int take(struct xdp_md* ctx) { return redirect(ctx, (struct tag){}); }

/* Native mode, where the driver can tell the tag. */
SEC("xdp.frags")
int take_with_tag(struct xdp_md* ctx) { return redirect(ctx, tag_from_driver(ctx)); }

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(note_tag, struct sk_buff* skb) {
    if (skb->dev->ifindex == ifindex)
        note_tag_of(skb);
    return 0;
}

SEC("xdp.frags")
int take_with_noted_tag(struct xdp_md* ctx) { return redirect(ctx, noted_tag()); }
