/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Follows the packets that match a filter: at each hook an event, if the packet is one of them. */
#include "trace/packets/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/packets/copies.bpf.h"
#include "trace/packets/know.bpf.h"
#include "trace/packets/sockets.bpf.h"
#include "trace/packets/tell.bpf.h"
#include "trace/packets/xdp.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void see(struct here* here, struct scratch* s, __u32 hook, __u32 flags, __u64 detail,
                                __u64 location) {
    struct identity* known = bpf_map_lookup_elem(&by_skb, &s->skb);
    if (flags & OPAQUE) {
        if (known)
            tell(s, known, hook, detail, location);
        return;
    }
    const struct sk_buff___seen* skb = (void*)s->skb;
    s->head = (__u64)BPF_CORE_READ(skb, head);
    s->dev = (__u64)BPF_CORE_READ(skb, dev);
    if (s->head == 0)
        return;
    read_kind(s);
    if (known && !still(s, known, flags)) {
        bpf_map_delete_elem(&by_skb, &s->skb);
        known = 0;
    }
    if (!known)
        known = meet(here, s, flags);
    if (!known)
        return;
    read_device(s);
    if (s->ifindex) {
        known->netns = s->netns;
        known->ifindex = s->ifindex;
    }
    read_shared(s);
    if (flags & (ENDS | FORGETS))
        s->flags |= trace_ended | (flags & DROPS ? trace_dropped : 0);
    else
        s->holders = 0;
    tell(s, known, hook, detail, location);
    if (flags & (ENDS | FORGETS))
        forget(s);
}

/* An skb passes a hook. Verified once, and called from all programs. */
__noinline int follow(__u64 skb, __u32 hook, __u32 flags, __u64 detail, __u64 location) {
    struct here* here = this_cpu();
    if (!here || !running || !skb)
        return 0;
    if (flags & GRO)
        here->gro = skb;
    struct scratch* s = enter(here);
    if (s) {
        begin(s, skb);
        see(here, s, hook, flags, detail, location);
    }
    leave(here);
    return 0;
}

#define arg(n) (ctx->args[n])
#define WIREPATH_TRACEPOINT(name, skb, detail, location, flags, ...)                                                   \
    SEC("raw_tp/" #name) int on_##name(struct bpf_raw_tracepoint_args* ctx) {                                          \
        return follow(skb, hook_##name, flags, detail, location);                                                      \
    }
#define WIREPATH_COPY(...)
#define WIREPATH_MARK(...)
#include "trace/packets/hooks.def"
#undef WIREPATH_TRACEPOINT
#undef WIREPATH_COPY
#undef WIREPATH_MARK

/* GRO has taken the packet's bytes, and its skb is gone: what it said (enum gro_result) is all that tells. */
static __always_inline int after_gro(__u32 result) {
    struct here* here = this_cpu();
    if (!here || !running || result > 1)
        return 0;
    struct scratch* s = enter(here);
    if (s) {
        begin(s, here->gro);
        struct identity* known = bpf_map_lookup_elem(&by_skb, &s->skb);
        if (known) {
            s->flags |= trace_ended;
            tell(s, known, hook_merged, result, 0);
            s->head = known->head;
            forget(s);
        }
    }
    leave(here);
    return 0;
}

SEC("raw_tp/napi_gro_receive_exit")
int gro_received(struct bpf_raw_tracepoint_args* ctx) { return after_gro(ctx->args[0]); }

SEC("raw_tp/napi_gro_frags_exit")
int gro_received_pages(struct bpf_raw_tracepoint_args* ctx) { return after_gro(ctx->args[0]); }

/* Functions: which one, the cookie says. */
static __always_inline int function(struct pt_regs* ctx, __u64 skb) {
    const __u64 cookie = bpf_get_attach_cookie(ctx);
    return follow(skb, (__u32)cookie, cookie >> 32, 0, 0);
}

#define WIREPATH_ARGUMENT(n)                                                                                           \
    SEC("kprobe") int function##n(struct pt_regs* ctx) { return function(ctx, PT_REGS_PARM##n(ctx)); }                 \
    SEC("kprobe.multi") int functions##n(struct pt_regs* ctx) { return function(ctx, PT_REGS_PARM##n(ctx)); }
WIREPATH_ARGUMENT(1)
WIREPATH_ARGUMENT(2)
WIREPATH_ARGUMENT(3)
WIREPATH_ARGUMENT(4)
WIREPATH_ARGUMENT(5)

/* The filter by itself, over bytes of the caller's: its verdicts are compared with libpcap's. */
__u8 sample[1 << 16] = {};
__u32 sample_linear = 0, sample_wirelen = 0, sample_variant = 0, sample_tci = 0, sample_tpid = 0;

SEC("raw_tp")
int judge(struct bpf_raw_tracepoint_args* ctx) {
    const __u32 zero = 0;
    struct scratch* s = bpf_map_lookup_elem(&scratches, &zero);
    if (!s)
        return -1;
    s->sight.start = number((__u64)sample);
    s->sight.linear = sample_linear;
    s->sight.wirelen = sample_wirelen;
    s->sight.variant = sample_variant;
    s->sight.vlan_tci = sample_tci;
    s->sight.vlan_tpid = sample_tpid;
    s->sight.tagged = sample_tpid != 0;
    fill_window(&s->sight);
    return run_filter(&s->sight);
}
