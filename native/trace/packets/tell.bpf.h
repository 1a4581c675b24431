/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An event, from here to the reader. */
#ifndef WIREPATH_TRACE_TELL_H
#define WIREPATH_TRACE_TELL_H

#include "trace/packets/skb.bpf.h"

/* Variables of each CPU; a kernel without CONFIG_KALLSYMS_ALL does not say where they are. */
extern const void __per_cpu_offset __ksym __weak;
extern const void __preempt_count __ksym __weak;
extern const void pcpu_hot __ksym __weak;

/* Whose time this is: a process's own, or borrowed by an interrupt. */
static __always_inline __u16 context(void) {
    __u64 offset = 0, at = (__u64)&__preempt_count;
    __u32 count = 0;
    if (at == 0 && (__u64)&pcpu_hot != 0)
        at = (__u64)&pcpu_hot + bpf_core_field_offset(struct pcpu_hot, preempt_count);
    if (at == 0 || (__u64)&__per_cpu_offset == 0)
        return trace_unknown_context;
    bpf_probe_read_kernel(&offset, sizeof offset, (void*)((__u64)&__per_cpu_offset + 8 * bpf_get_smp_processor_id()));
    if (bpf_probe_read_kernel(&count, sizeof count, (void*)(offset + at)) != 0)
        return trace_unknown_context;
    if (count & 0xf0000)
        return trace_hardirq;
    return count & 0x100 ? trace_softirq : 0; /* serving one; 0x200: only held off */
}

static __always_inline void read_shared(struct scratch* s) {
    const struct sk_buff___seen* skb = (void*)s->skb;
    const struct skb_shared_info___seen* shared = (void*)(s->head + BPF_CORE_READ(skb, end));
    s->gso = BPF_CORE_READ(shared, gso_size);
    s->holders = (BPF_CORE_READ(shared, dataref.counter) & 0xffff) - 1;
}

static __always_inline __u32 take_payload(struct scratch* s) {
    __u32 bytes = s->sight.linear < snaplen ? s->sight.linear : snaplen;
    HELD(bytes);
    if (bytes > trace_longest_snaplen)
        bytes = trace_longest_snaplen;
    HELD(bytes);
    if (bytes == 0)
        return 0;
    if (bpf_probe_read_kernel(s->payload, bytes, (void*)s->sight.start) != 0)
        return 0;
    return bytes;
}

/* What is told once a packet. */
static __always_inline void introduce(struct scratch* s) {
    struct trace_event* e = &s->event;
    if (s->sight.start == 0 && (look(s) != 0))
        return;
    if (s->skb)
        read_tag(s);
    e->flags |= trace_first;
    e->linktype = s->sight.variant == with_mac ? 1 : 101;
    e->origlen = s->sight.wirelen;
    e->vlan_tci = s->sight.vlan_tci;
    e->vlan_tpid = s->sight.vlan_tpid;
    e->caplen = take_payload(s);
}

__noinline int tell(struct scratch* s, struct identity* known, __u32 hook, __u64 detail, __u64 location) {
    if (!s || !known)
        return 0;
    struct trace_event* e = &s->event;
    __builtin_memset(e, 0, sizeof *e);
    e->ts_ns = bpf_ktime_get_ns();
    e->packet = known->packet;
    e->skb = s->skb;
    e->detail = detail;
    e->location = location;
    e->hook = hook;
    e->cpu = bpf_get_smp_processor_id();
    const __u64 who = bpf_get_current_pid_tgid();
    e->pid = who >> 32;
    e->tid = who;
    bpf_get_current_comm(e->comm, sizeof e->comm);
    e->netns = known->netns;
    e->ifindex = known->ifindex;
    e->flags = context() | s->flags | (s->gso ? trace_gso : 0);
    e->holders = s->holders;
    if (s->dev) {
        const struct net_device___seen* dev = (void*)s->dev;
        const struct sk_buff___seen* skb = (void*)s->skb;
        e->len = s->skb ? BPF_CORE_READ(skb, len) : s->sight.wirelen;
        bpf_core_read(e->interface, sizeof e->interface, &dev->name);
    }
    if (!known->told && s->head)
        introduce(s);
    __u32 size = sizeof *e + e->caplen;
    HELD(size);
    if (size > sizeof *e + trace_longest_snaplen)
        size = sizeof *e + trace_longest_snaplen;
    HELD(size);
    /* The reader comes by itself; it is woken once, when that may be too late. */
    const __u64 beyond = bpf_ringbuf_query(&ring, 0) - wake_at;
    const __u64 wake = beyond < sizeof *e + trace_longest_snaplen ? 2 : 1;
    if (bpf_ringbuf_output(&ring, e, size, wake) != 0)
        __sync_fetch_and_add(&lost, 1);
    else if (e->flags & trace_first)
        known->told = 1;
    return 0;
}

#endif
