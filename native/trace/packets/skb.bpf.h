/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an skb says of itself. */
#ifndef WIREPATH_TRACE_SKB_H
#define WIREPATH_TRACE_SKB_H

#include "trace/packets/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "trace/packets/scratch.bpf.h"

#define offset_of(field) bpf_core_field_offset(struct sk_buff___seen, field)

/* Most hooks are passed by packets that nobody wants: what lies together is read together. */
static __always_inline void read_buffer(struct scratch* s, __u64* data) {
    const struct sk_buff___seen* skb = (void*)s->skb;
    __u64 both[2] = {};
    if (offset_of(data) == offset_of(head) + sizeof both[0]) {
        bpf_core_read(both, sizeof both, &skb->head);
    } else {
        both[0] = (__u64)BPF_CORE_READ(skb, head);
        both[1] = (__u64)BPF_CORE_READ(skb, data);
    }
    s->head = both[0];
    *data = both[1];
}

static __always_inline void read_lengths(const struct sk_buff___seen* skb, __u32* len, __u32* data_len) {
    __u32 both[2] = {};
    if (offset_of(data_len) == offset_of(len) + sizeof both[0]) {
        bpf_core_read(both, sizeof both, &skb->len);
    } else {
        both[0] = BPF_CORE_READ(skb, len);
        both[1] = BPF_CORE_READ(skb, data_len);
    }
    *len = both[0];
    *data_len = both[1];
}

struct offsets {
    __be16 protocol;
    __u16 transport, network, mac;
};

static __always_inline struct offsets read_offsets(const struct sk_buff___seen* skb) {
    struct offsets offsets = {};
    if (offset_of(network_header) == offset_of(protocol) + 4 && offset_of(mac_header) == offset_of(protocol) + 6) {
        bpf_core_read(&offsets, sizeof offsets, &skb->protocol);
    } else {
        offsets.protocol = BPF_CORE_READ(skb, protocol);
        offsets.network = BPF_CORE_READ(skb, network_header);
        offsets.mac = BPF_CORE_READ(skb, mac_header);
    }
    return offsets;
}

/* What kind of interface it is at; once it waits at a socket, its dev is something else. */
static __always_inline void read_kind(struct scratch* s) {
    const struct net_device___seen* dev = (void*)s->dev;
    unsigned short type = 0;
    s->arphrd = dev && bpf_core_read(&type, sizeof type, &dev->type) == 0 ? type : 0xffff;
    if (s->arphrd == 0xffff)
        s->dev = 0;
}

/* Where it is. */
static __always_inline void read_device(struct scratch* s) {
    const struct net_device___seen* dev = (void*)s->dev;
    s->netns = s->ifindex = 0;
    if (!dev)
        return;
    struct net___seen* net = BPF_CORE_READ(dev, nd_net.net);
    s->netns = BPF_CORE_READ(net, ns.inum);
    s->ifindex = BPF_CORE_READ(dev, ifindex);
}

static __always_inline void read_tag(struct scratch* s) {
    const struct sk_buff___seen* skb = (void*)s->skb;
    const struct sk_buff___tagged* older = (void*)s->skb;
    if (bpf_core_field_exists(older->vlan_present))
        s->sight.tagged = BPF_CORE_READ_BITFIELD_PROBED(older, vlan_present);
    else
        s->sight.tagged = BPF_CORE_READ(skb, vlan_all) != 0;
    s->sight.vlan_tci = s->sight.tagged ? BPF_CORE_READ(skb, vlan_tci) : 0;
    s->sight.vlan_tpid = s->sight.tagged ? bpf_ntohs(BPF_CORE_READ(skb, vlan_proto)) : 0;
}

/* Finds the packet's first byte: that of its MAC header, else that of its network header. */
static __always_inline int find_start(struct scratch* s) {
    const struct sk_buff___seen* skb = (void*)s->skb;
    __u64 data = 0;
    __u32 len = 0, data_len = 0;
    read_buffer(s, &data);
    read_lengths(skb, &len, &data_len);
    const struct offsets offsets = read_offsets(skb);
    const __u64 end = data + len - data_len;
    const __u16 mac = offsets.mac, network = offsets.network, protocol = bpf_ntohs(offsets.protocol);
    const _Bool ethernet = s->arphrd == 1 || s->arphrd == 772 || (s->arphrd == 0xffff && network == mac + 14);
    if (mac != 0xffff && ethernet && s->head + mac + 14 <= end) {
        s->sight.variant = with_mac;
        s->sight.start = s->head + mac;
    } else if (network != 0 && (protocol == 0x0800 || protocol == 0x86dd) && s->head + network + 20 <= end) {
        s->sight.variant = without_mac;
        s->sight.start = s->head + network;
    } else {
        return -1;
    }
    s->sight.linear = end - s->sight.start;
    s->sight.wirelen = len + data - s->sight.start;
    s->sight.protocol = protocol;
    return s->sight.linear > 0xffff ? -1 : 0;
}

/* Its first bytes. Functions that are not static are verified once, not at each call. */
__noinline int look(struct scratch* s) {
    if (!s || find_start(s) != 0)
        return -1;
    fill_window(&s->sight);
    return s->sight.window != 0 ? 0 : -1;
}

/* And what they say of who it is. */
__noinline int recognize(struct scratch* s) {
    if (!s || look(s) != 0)
        return -1;
    s->print = fingerprint_of(&s->sight, &s->l3);
    s->l3 += s->sight.start - s->head;
    return s->print.headers != 0 ? 0 : -1;
}

__noinline int wanted(struct scratch* s) {
    if (!s)
        return 0;
    const struct sk_buff___seen* skb = (void*)s->skb;
    if (filter_asks) {
        read_tag(s);
        read_device(s);
        s->sight.pkt_type = BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type);
        s->sight.ifindex = s->ifindex;
    }
    return run_filter(&s->sight);
}

#endif
