/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* At XDP: the VLAN tag of a packet that is not in its bytes, which XDP itself does not tell. */
#ifndef WIREPATH_BPF_XDP_TAG_H
#define WIREPATH_BPF_XDP_TAG_H

#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct tag {
    __u16 tci;
    __u16 tpid; /* 0: there is none */
};

/* The tag of the packet that this CPU is receiving. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tag);
} tags SEC(".maps");

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md* ctx, __be16* vlan_proto, __u16* vlan_tci) __ksym __weak;

/* Native mode, where the driver can tell the tag. */
static __always_inline struct tag tag_from_driver(struct xdp_md* ctx) {
    struct tag tag = {};
    __be16 tpid = 0;
    if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid, &tag.tci) == 0)
        tag.tpid = bpf_ntohs(tpid);
    return tag;
}

/* Generic mode: the stack holds the tag beside the bytes, where XDP does not look. The tracepoint netif_receive_skb,
 * which a packet passes just before, on the same CPU and in the same softirq, can see it. */
static __always_inline void note_tag_of(struct sk_buff* skb) {
    const __u32 zero = 0;
    struct tag* tag = bpf_map_lookup_elem(&tags, &zero);
    if (!tag)
        return;
    struct sk_buff___with_vlan_present* older = (void*)skb;
    const _Bool tagged =
        bpf_core_field_exists(older->vlan_present) ? BPF_CORE_READ_BITFIELD(older, vlan_present) : skb->vlan_all != 0;
    tag->tci = tagged ? skb->vlan_tci : 0;
    tag->tpid = tagged ? bpf_ntohs(skb->vlan_proto) : 0;
}

/* What was noted of this packet: nobody else's. */
static __always_inline struct tag noted_tag(void) {
    const __u32 zero = 0;
    struct tag tag = {};
    struct tag* noted = bpf_map_lookup_elem(&tags, &zero);
    if (noted) {
        tag = *noted;
        *noted = (struct tag){};
    }
    return tag;
}

#endif
