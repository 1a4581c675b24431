/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packet it is that passes. */
#ifndef WIREPATH_TRACE_KNOW_H
#define WIREPATH_TRACE_KNOW_H

#include "trace/packets/skb.bpf.h"

static __always_inline void remember(struct scratch* s, __u64 packet, __u32 told) {
    struct identity identity = {};
    identity.packet = packet;
    identity.head = s->head;
    identity.print = s->print;
    identity.netns = s->netns;
    identity.ifindex = s->ifindex;
    identity.l3 = s->l3;
    identity.told = told;
    bpf_map_update_elem(&by_skb, &s->skb, &identity, any);
    struct body body = {packet, s->print, told};
    bpf_map_update_elem(&by_head, &s->head, &body, any);
}

/* Whether the headers by which it is known still lie where they were: another was put before them, or taken off. */
static __always_inline _Bool still_inside(struct scratch* s, const struct identity* known) {
    __u32 l3;
    s->sight.variant = without_mac;
    s->sight.start = s->head + known->l3;
    s->sight.linear = trace_filter_window;
    fill_window(&s->sight);
    const _Bool same = s->sight.window != 0 && same_print(fingerprint_of(&s->sight, &l3), known->print);
    return recognize(s) == 0 && same;
}

/* Whether the skb at this address is still the packet that is known by it. */
static __always_inline _Bool still(struct scratch* s, struct identity* known, __u32 flags) {
    const _Bool moved = known->head != s->head;
    if (!moved && !(flags & CHECKS))
        return 1;
    if (recognize(s) != 0)
        return !moved;
    if (same_print(s->print, known->print)) {
        if (moved) {
            s->netns = known->netns;
            s->ifindex = known->ifindex;
            remember(s, known->packet, known->told);
        }
        return 1;
    }
    if (moved || s->l3 == known->l3 || !still_inside(s, known))
        return 0;
    known->print = s->print;
    known->l3 = s->l3;
    return 1;
}

static __always_inline __u64 next_packet(void) {
    if (limit && packets >= limit)
        return 0;
    const __u64 packet = __sync_fetch_and_add(&packets, 1) + 1;
    return limit && packet > limit ? 0 : packet;
}

/* One that is not known by its address: another's clone, what XDP has passed on, or a new one that the filter wants. */
static __always_inline struct identity* meet(struct here* here, struct scratch* s, __u32 flags) {
    if ((flags & (FORGETS | KNOWN)) || look(s) != 0)
        return 0;
    struct body* body = bpf_map_lookup_elem(&by_head, &s->head);
    const _Bool may_begin = (flags & (ENDS | DROPS)) != ENDS;
    if (!body && !here->xdp_packet && !(may_begin && wanted(s)))
        return 0;
    if (recognize(s) != 0)
        return 0;
    if (body && same_print(body->print, s->print)) {
        remember(s, body->packet, body->told);
        return bpf_map_lookup_elem(&by_skb, &s->skb);
    }
    if (here->xdp_packet && same_print(here->xdp_print, s->print)) { /* not every driver keeps the address */
        remember(s, here->xdp_packet, here->xdp_told);
        here->xdp_packet = 0;
        return bpf_map_lookup_elem(&by_skb, &s->skb);
    }
    if (!may_begin || !wanted(s))
        return 0;
    const __u64 packet = next_packet();
    if (packet == 0)
        return 0;
    remember(s, packet, 0);
    return bpf_map_lookup_elem(&by_skb, &s->skb);
}

static __always_inline void forget(struct scratch* s) {
    bpf_map_delete_elem(&by_skb, &s->skb);
    if (s->holders == 0)
        bpf_map_delete_elem(&by_head, &s->head);
}

#endif
