/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Before and after an XDP program, where there is no skb yet. */
#ifndef WIREPATH_TRACE_XDP_H
#define WIREPATH_TRACE_XDP_H

#include "trace/packets/know.bpf.h"
#include "trace/packets/tell.bpf.h"

/* The bytes that an XDP program has in its hands. */
static __always_inline int look_at_frame(struct scratch* s, __u64 frame) {
    const struct xdp_buff___seen* xdp = (void*)frame;
    s->head = (__u64)BPF_CORE_READ(xdp, data_hard_start);
    s->dev = (__u64)BPF_CORE_READ(xdp, rxq, dev);
    s->sight.start = (__u64)BPF_CORE_READ(xdp, data);
    s->sight.linear = s->sight.wirelen = (__u64)BPF_CORE_READ(xdp, data_end) - s->sight.start;
    s->sight.variant = with_mac;
    s->sight.tagged = s->sight.vlan_tci = s->sight.vlan_tpid = s->sight.pkt_type = 0;
    if (s->head == 0 || s->sight.linear > 0xffff)
        return -1;
    read_kind(s);
    read_device(s);
    s->sight.ifindex = s->ifindex;
    fill_window(&s->sight);
    s->print = fingerprint_of(&s->sight, &s->l3);
    s->sight.protocol = half_at(&s->sight, 12);
    return s->print.headers != 0 ? 0 : -1;
}

static __always_inline void tell_of_frame(struct here* here, struct scratch* s, __u32 hook, __u64 action) {
    struct identity identity = {};
    identity.packet = here->xdp_packet;
    identity.netns = s->netns;
    identity.ifindex = s->ifindex;
    identity.told = here->xdp_told;
    tell(s, &identity, hook, action, s->cookie);
    here->xdp_told = identity.told;
    struct body body = {here->xdp_packet, s->print, identity.told};
    bpf_map_update_elem(&by_head, &s->head, &body, any);
}

/* Before an XDP program: in generic mode an skb may have brought the packet, else it is new. */
static __always_inline void frame_comes(struct here* here, struct scratch* s) {
    struct body* body = bpf_map_lookup_elem(&by_head, &s->head);
    here->xdp_packet = here->xdp_told = 0;
    if (body && same_print(body->print, s->print)) {
        here->xdp_packet = body->packet;
        here->xdp_told = body->told;
    } else if (run_filter(&s->sight)) {
        here->xdp_packet = next_packet();
    }
    if (here->xdp_packet == 0)
        return;
    here->xdp_print = s->print;
    tell_of_frame(here, s, hook_xdp_begin, 0);
}

/* After it, which may have changed the packet. */
static __always_inline void frame_goes(struct here* here, struct scratch* s, __u32 action) {
    if (here->xdp_packet == 0)
        return;
    here->xdp_print = s->print;
    if (action == XDP_DROP || action == XDP_ABORTED || action == XDP_TX)
        s->flags |= trace_ended;
    tell_of_frame(here, s, hook_xdp_end, action);
    if (s->flags & trace_ended)
        bpf_map_delete_elem(&by_head, &s->head);
    if (action != XDP_PASS)
        here->xdp_packet = 0;
}

__noinline int frame(__u64 frame, __u64 cookie, __u32 hook, __u32 action) {
    struct here* here = this_cpu();
    if (!here || !running)
        return 0;
    struct scratch* s = enter(here);
    if (s) {
        begin(s, 0);
        s->cookie = cookie;
        if (look_at_frame(s, frame) != 0)
            here->xdp_packet = 0;
        else if (hook == hook_xdp_begin)
            frame_comes(here, s);
        else
            frame_goes(here, s, action);
    }
    leave(here);
    return 0;
}

/* Around each XDP program that there is: these two are loaded once for each. */
SEC("fentry")
int xdp_begins(__u64* ctx) { return frame(number(ctx[0]), bpf_get_attach_cookie(ctx), hook_xdp_begin, 0); }

SEC("fexit")
int xdp_ends(__u64* ctx) { return frame(number(ctx[0]), bpf_get_attach_cookie(ctx), hook_xdp_end, number(ctx[1])); }

#endif
