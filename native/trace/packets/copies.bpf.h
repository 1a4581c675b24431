/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where one skb becomes two, or its bytes move. */
#ifndef WIREPATH_TRACE_COPIES_H
#define WIREPATH_TRACE_COPIES_H

#include "trace/packets/know.bpf.h"
#include "trace/packets/tell.bpf.h"

/* The copy of a packet that is followed, made just now. */
__noinline int copied(__u64 from, __u64 to, __u32 hook) {
    struct here* here = this_cpu();
    if (!here || !running || !to)
        return 0;
    struct identity* original = bpf_map_lookup_elem(&by_skb, &from);
    if (!original)
        return 0;
    struct scratch* s = enter(here);
    if (s) {
        begin(s, to);
        const struct sk_buff___seen* copy = (void*)to;
        s->head = (__u64)BPF_CORE_READ(copy, head);
        s->print = original->print;
        s->l3 = original->l3;
        s->netns = original->netns;
        s->ifindex = original->ifindex;
        s->flags |= trace_copied;
        remember(s, original->packet, original->told);
        struct identity* known = bpf_map_lookup_elem(&by_skb, &s->skb);
        if (known)
            tell(s, known, hook, from, 0);
    }
    leave(here);
    return 0;
}

/* The skb stays, its bytes have moved. */
__noinline int moved(__u64 skb, __u32 hook) {
    struct here* here = this_cpu();
    struct identity* known = bpf_map_lookup_elem(&by_skb, &skb);
    if (!here || !running || !known)
        return 0;
    struct scratch* s = enter(here);
    if (s) {
        begin(s, skb);
        const struct sk_buff___seen* same = (void*)skb;
        s->head = (__u64)BPF_CORE_READ(same, head);
        if (s->head != known->head) {
            struct body body = {known->packet, known->print, known->told};
            bpf_map_update_elem(&by_head, &s->head, &body, any);
            known->head = s->head;
            if (recognize(s) == 0)
                known->l3 = s->l3;
        }
        s->sight.start = 0;
        tell(s, known, hook, 0, 0);
    }
    leave(here);
    return 0;
}

static __always_inline int made(__u32 what, __u64 from, __u64 result, __u32 hook) {
    if (what == HEAD)
        return (__u32)result == 0 ? moved(from, hook) : 0;
    if (what == ONE)
        return copied(from, result, hook);
    __u64 piece = result;
    for (int i = 0; i < 64 && piece != 0 && piece < (__u64)-4095; ++i) {
        copied(from, piece, hook);
        const struct sk_buff___seen* skb = (void*)piece;
        piece = (__u64)BPF_CORE_READ(skb, next);
    }
    return 0;
}

/* Behind a function's arguments stands what it gave back. */
#define WIREPATH_TRACEPOINT(...)
#define WIREPATH_COPY(name, arguments, what, ...)                                                                      \
    SEC("fexit/" #name) int copied_##name(__u64* ctx) {                                                                \
        return made(what, number(ctx[0]), number(ctx[arguments]), hook_##name);                                        \
    }
#define WIREPATH_MARK(...)
#include "trace/packets/hooks.def"
#undef WIREPATH_TRACEPOINT
#undef WIREPATH_COPY
#undef WIREPATH_MARK

#endif
