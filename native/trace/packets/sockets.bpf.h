/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Into a socket's queue, and out of it. */
#ifndef WIREPATH_TRACE_SOCKETS_H
#define WIREPATH_TRACE_SOCKETS_H

#include "trace/packets/know.bpf.h"
#include "trace/packets/tell.bpf.h"

/* In follow.bpf.c. */
int follow(__u64 skb, __u32 hook, __u32 flags, __u64 detail, __u64 location);

enum { datagrams = 2, udp = 17, udp_header_bytes = 8, peek = 2 };

/* So that the program that takes it can be told. */
static __always_inline void wait_at(__u64 sk, __u64 skb) {
    const struct sock___seen* socket = (void*)sk;
    const struct sk_buff___seen* datagram = (void*)skb;
    if (BPF_CORE_READ(socket, sk_type) != datagrams)
        return;
    struct waiting* waiting = bpf_map_lookup_elem(&by_socket, &sk);
    if (!waiting) {
        struct waiting none = {};
        bpf_map_update_elem(&by_socket, &sk, &none, not_yet_there);
        waiting = bpf_map_lookup_elem(&by_socket, &sk);
    }
    if (!waiting)
        return;
    const __u32 at = __sync_fetch_and_add(&waiting->next, 1) & (most_waiting - 1);
    waiting->skb[at] = skb;
    const __u64 transport = (__u64)BPF_CORE_READ(datagram, head) + BPF_CORE_READ(datagram, transport_header);
    const _Bool with_header =
        BPF_CORE_READ(socket, sk_protocol) == udp && (__u64)BPF_CORE_READ(datagram, data) == transport;
    waiting->bytes[at] = BPF_CORE_READ(datagram, len) - (with_header ? udp_header_bytes : 0);
}

/* What was put into a socket's queue since it was last looked at: the newest ones, as far as they are followed. */
SEC("raw_tp/sk_data_ready")
int socket_woken(struct bpf_raw_tracepoint_args* ctx) {
    const __u64 sk = ctx->args[0];
    const struct sock___seen* socket = (void*)sk;
    const __u64 queue = sk + bpf_core_field_offset(struct sock___seen, sk_receive_queue);
    __u64 skb = (__u64)BPF_CORE_READ(socket, sk_receive_queue.prev);
    for (int i = 0; i < most_waiting && skb && skb != queue; ++i) {
        struct identity* known = bpf_map_lookup_elem(&by_skb, &skb);
        if (known && known->queued)
            break;
        follow(skb, hook_queued, 0, 0, 0);
        known = bpf_map_lookup_elem(&by_skb, &skb);
        if (!known)
            break;
        known->queued = 1;
        wait_at(sk, skb);
        const struct sk_buff___seen* datagram = (void*)skb;
        skb = (__u64)BPF_CORE_READ(datagram, prev);
    }
    return 0;
}

/* A datagram of that length has left the queue: the oldest such, which no longer is an skb that can be looked at. */
static __always_inline void take(struct here* here, __u64 skb, __u64 bytes) {
    struct identity* known = bpf_map_lookup_elem(&by_skb, &skb);
    struct scratch* s = known ? enter(here) : 0;
    if (s) {
        begin(s, skb);
        s->flags |= trace_ended | trace_inferred;
        tell(s, known, hook_taken, bytes, 0);
        s->head = known->head;
        forget(s);
    }
    if (known)
        leave(here);
}

SEC("raw_tp/sock_recv_length")
int socket_read(struct bpf_raw_tracepoint_args* ctx) {
    const __u64 sk = ctx->args[0];
    const int bytes = ctx->args[1];
    struct here* here = this_cpu();
    struct waiting* waiting = bpf_map_lookup_elem(&by_socket, &sk);
    if (!here || !waiting || bytes < 0 || (ctx->args[2] & peek))
        return 0;
    const __u32 oldest = waiting->next;
    for (__u32 i = 0; i < most_waiting; ++i) {
        const __u32 at = (oldest + i) & (most_waiting - 1);
        const __u64 skb = waiting->skb[at];
        if (skb == 0 || waiting->bytes[at] != bytes)
            continue;
        waiting->skb[at] = 0;
        take(here, skb, bytes);
        break;
    }
    return 0;
}

#endif
