/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Follows the packets that match a filter: at each hook an event, if the packet is one of them. */
#include "trace/packets/kernel.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/packets/cbpf.bpf.h"
#include "trace/packets/event.h"
#include "trace/packets/identity.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

enum {
    CHECKS = trace_hook_checks,
    FORGETS = trace_hook_forgets,
    KNOWN = trace_hook_known,
    ENDS = 8,
    DROPS = 16,
    OPAQUE = 32,
    GRO = 64,
};
enum { ONE, LIST, HEAD };

enum hook {
#define WIREPATH_TRACEPOINT(name, ...) hook_##name,
#define WIREPATH_COPY(name, ...) hook_##name,
#define WIREPATH_MARK(name, ...) hook_##name,
#include "trace/packets/hooks.def"
#undef WIREPATH_TRACEPOINT
#undef WIREPATH_COPY
#undef WIREPATH_MARK
};

const volatile __u32 snaplen = trace_filter_window;
const volatile __u32 filter_asks = 1;   /* for more than bytes: a tag, a direction, an interface */
const volatile __u32 wake_at = 1 << 20; /* bytes in the ring */
const volatile __u64 limit = 0;         /* packets; 0: all that match */

/* What the reader looks at. */
volatile __u32 running = 0;
__u64 packets = 0;
__u64 lost = 0;   /* events for which the ring had no room */
__u64 missed = 0; /* hooks passed while this CPU was in the midst of too many others */

struct {
    __uint(type, map_ring);
    __uint(max_entries, 8 << 20);
} ring SEC(".maps");

/* A program may be interrupted by another on the same CPU: each depth has its own. */
enum { deepest = 4 };

struct scratch {
    struct sight sight;
    __u64 skb, head, dev, cookie;
    __u32 netns, ifindex, arphrd;
    struct fingerprint print;
    __u32 l3;
    __u32 holders, gso, flags;
    struct trace_event event;
    __u8 payload[trace_longest_snaplen];
};

struct {
    __uint(type, map_percpu_array);
    __uint(max_entries, deepest);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

struct here {
    __u32 depth;
    __u64 gro; /* the skb that GRO is at */
    /* The packet that an XDP program has, or had before the driver makes an skb of it. */
    __u64 xdp_packet;
    struct fingerprint xdp_print;
    __u32 xdp_told;
};

struct {
    __uint(type, map_percpu_array);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct here);
} cpus SEC(".maps");

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

static __always_inline struct here* this_cpu(void) {
    const __u32 zero = 0;
    return bpf_map_lookup_elem(&cpus, &zero);
}

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

static __always_inline void forget(struct scratch* s) {
    bpf_map_delete_elem(&by_skb, &s->skb);
    if (s->holders == 0)
        bpf_map_delete_elem(&by_head, &s->head);
}

static __always_inline void begin(struct scratch* s, __u64 skb) {
    s->skb = skb;
    s->head = s->dev = 0;
    s->holders = s->gso = s->flags = 0;
    s->sight.start = 0;
    s->netns = s->ifindex = 0;
}

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

static __always_inline struct scratch* enter(struct here* here) {
    const __u32 depth = __sync_fetch_and_add(&here->depth, 1);
    struct scratch* s = depth < deepest ? bpf_map_lookup_elem(&scratches, &depth) : 0;
    if (!s)
        __sync_fetch_and_add(&missed, 1);
    return s;
}

static __always_inline void leave(struct here* here) { __sync_fetch_and_add(&here->depth, -1); }

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

/* Makes a number of a pointer: functions that are verified by themselves take only those. */
static __always_inline __u64 number(__u64 value) {
    volatile __u64 kept;
    bpf_probe_read_kernel((void*)&kept, sizeof kept, &value);
    return kept;
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
