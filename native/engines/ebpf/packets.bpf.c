/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writes the packets that pass a hook of the network stack into blocks that the engine has mapped: at XDP, in or just
 * after the driver, and at tc, where packets also leave. One or more of the programs are loaded. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/filter.bpf.h"
#include "bpf/wirepath.bpf.h"
#include "bpf/xdp_tag.bpf.h"
#include "engines/ebpf/layout.h"
#include "engines/ebpf/processes.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 snaplen = 262144;
const volatile __u32 block_bytes = 524288;
const volatile int take = 0;          /* what is written into the ring does not go on to the stack */
const volatile int drop_rejected = 0; /* nor does what the filter rejects */
const volatile int decides = 0;       /* a program of the user's is linked in: its function takes this one's place */
const volatile __u32 wirepath_hook = WIREPATH_TC;
_Static_assert((int)WIREPATH_XDP == record_hook_xdp && (int)WIREPATH_TC == record_hook_tc, "one number a hook");

__attribute__((weak, noinline)) int wirepath_decide(void* ctx, struct wirepath_packet* packet) {
    return WIREPATH_CAPTURE;
}

struct free_blocks free_blocks;
struct cpu_state cpus[ebpf_most_cpus];
__u32 armed __attribute__((aligned(64))); /* the engine sleeps until the bell rings */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 64);
    __uint(key_size, sizeof(__u32));
    __uint(value_size, 524288);
} blocks SEC(".maps");

/* Carries nothing but the news that there is something: what makes the engine's descriptor readable. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} bell SEC(".maps");

/* A packet on its way into a record. */
struct packet {
    void* ctx;
    __u32 length;
    __u32 ifindex;
    __u32 mark;
    struct tag tag;
    struct socket_maker maker;
    __u16 queue;
    __u8 hook;
    __u8 bits;
};

/* What the verifier learns of a variable from a comparison it learns of the register that is compared: that must be the
 * one that is used. */
#define in_one_register(variable) asm volatile("" : "+r"(variable))

/* A length that is 1 to `most`, a power of two, as a number of which the verifier knows it: older ones lose what a
 * comparison told them when the register is needed for something else. */
static __always_inline __u64 known_length(__u64 length, const __u64 most) {
    __u64 less = length - 1;
    in_one_register(less);
    return (less & (most - 1)) + 1;
}

/* 1 + a free block; 0: there is none. Each round is lost only to a CPU that took one. */
static __always_inline __u32 take_free_block(void) {
    for (int round = 0; round < 32; ++round) {
        const __u32 taken = *(volatile __u32*)&free_blocks.taken;
        if (taken == *(volatile __u32*)&free_blocks.put)
            return 0;
        const __u64 entry = *(volatile __u64*)&free_blocks.entries[taken & (ebpf_most_blocks - 1)];
        if ((__u32)(entry >> 32) == taken + 1 &&
            __sync_val_compare_and_swap(&free_blocks.taken, taken, taken + 1) == taken)
            return (__u32)entry + 1;
    }
    return 0;
}

static __always_inline char* block_at(__u32 index) { return bpf_map_lookup_elem(&blocks, &index); }

/* Leaves the block that is full for a free one. */
static __always_inline int begin_block(struct cpu_state* cpu) {
    const __u32 next = take_free_block();
    if (next == 0)
        return 0;
    if (cpu->block == 0) {
        __sync_lock_test_and_set(&cpu->first, next);
    } else {
        struct block_header* full = (void*)block_at(cpu->block - 1);
        if (full)
            __sync_lock_test_and_set(&full->next, next);
    }
    cpu->block = next;
    cpu->used = sizeof(struct block_header);
    return 1;
}

static __always_inline long copy_packet(const struct packet* packet, void* to, __u64 length, const __u64 largest) {
    if (packet->hook == record_hook_tc)
        return bpf_skb_load_bytes(packet->ctx, 0, to, length);
    const __u32 most = 0xffff; /* of the helper */
    if (largest <= most || length <= most)
        return bpf_xdp_load_bytes(packet->ctx, 0, to, length);
    const long failed = bpf_xdp_load_bytes(packet->ctx, 0, to, most);
    return failed ? failed : bpf_xdp_load_bytes(packet->ctx, most, to + most, known_length(length - most, 0x10000));
}

/* A record of caplen bytes, 1 to `most`, a power of two. The verifier does not see that what was used of a block and
 * what is to come are together less than the block, unless each has a limit of its own. */
static __always_inline int write_record(struct cpu_state* cpu, const struct packet* packet, __u64 caplen,
                                        const __u64 most) {
    const __u64 bytes = block_bytes, last = bytes - sizeof(struct record) - most;
    if (bytes < sizeof(struct block_header) + sizeof(struct record) + most) /* then snaplen is less, too */
        return 0;
    if ((cpu->block == 0 || cpu->used > last) && !begin_block(cpu))
        return 0;
    char* block = block_at(cpu->block - 1);
    __u64 used = cpu->used;
    in_one_register(used);
    if (!block || used > last)
        return 0;
    caplen = known_length(caplen, most);
    struct record* to = (void*)(block + used);
    to->ts_monotonic_ns = bpf_ktime_get_ns();
    to->caplen = caplen;
    to->origlen = packet->length;
    to->ifindex = packet->ifindex;
    to->mark = packet->mark;
    to->queue = packet->queue;
    to->vlan_tci = packet->tag.tci;
    to->vlan_tpid = packet->tag.tpid;
    to->hook = packet->hook;
    to->bits = packet->bits;
    to->pid = packet->maker.pid;
    to->netns = packet->maker.netns;
    if (copy_packet(packet, to + 1, caplen, most) != 0)
        return 0;
    cpu->used = used + ((sizeof(struct record) + caplen + ebpf_alignment - 1) & ~(ebpf_alignment - 1));
    __sync_lock_test_and_set(&((struct block_header*)block)->used, cpu->used); /* after all that is before it */
    return 1;
}

static __always_inline void ring_bell(void) {
    if (*(volatile __u32*)&armed == 0 || __sync_lock_test_and_set(&armed, 0) == 0)
        return;
    const __u64 nothing = 0;
    bpf_ringbuf_output(&bell, (void*)&nothing, sizeof nothing, BPF_RB_FORCE_WAKEUP);
}

/* Whether the packet is in the ring. */
static __always_inline int store(struct cpu_state* cpu, const struct packet* packet) {
    const __u32 limit = snaplen;
    const __u32 caplen = packet->length < limit ? packet->length : limit;
    int stored = 0;
    if (caplen == 0)
        stored = 0;
    else if (caplen <= 2048)
        stored = write_record(cpu, packet, caplen, 2048);
    else if (caplen <= 16384)
        stored = write_record(cpu, packet, caplen, 16384);
    else if (caplen <= 65536)
        stored = write_record(cpu, packet, caplen, 65536);
    else if (packet->hook == record_hook_xdp && caplen <= 131070)
        stored = write_record(cpu, packet, caplen, 131072);
    else if (packet->hook == record_hook_tc && caplen <= 262144)
        stored = write_record(cpu, packet, caplen, 262144);
    if (stored)
        ring_bell();
    else
        cpu->lost++;
    return stored;
}

/* Masked, since older verifiers lose a comparison on the way; the engine refuses machines with more. */
static __always_inline struct cpu_state* this_cpu(void) {
    __u64 number = bpf_get_smp_processor_id();
    in_one_register(number);
    return &cpus[number & (ebpf_most_cpus - 1)];
}

/* Whether the filter wants the packet. */
static __always_inline int wanted(struct cpu_state* cpu, void* ctx, struct tag tag) {
    if (filter_packet(ctx, (__u32)tag.tpid << 16 | tag.tci) != 0)
        return 1;
    cpu->rejected++;
    return 0;
}

static __always_inline int decide(struct packet* packet) {
    if (!decides)
        return WIREPATH_CAPTURE;
    struct wirepath_packet shown = {
        .length = packet->length,
        .ifindex = packet->ifindex,
        .queue = packet->queue,
        .outbound = packet->bits & record_outbound,
        .vlan_tpid = packet->tag.tpid,
        .vlan_tci = packet->tag.tci,
    };
    const int fate = wirepath_decide(packet->ctx, &shown);
    packet->mark = shown.mark;
    return fate;
}

/* Whether the packet is kept from the network stack. */
static __always_inline int capture(struct cpu_state* cpu, struct packet* packet) {
    const int fate = decide(packet);
    if (fate == WIREPATH_PASS || fate == WIREPATH_DROP)
        cpu->rejected++;
    else
        store(cpu, packet);
    return take && fate != WIREPATH_TAP && fate != WIREPATH_PASS;
}

static __always_inline int at_xdp(struct xdp_md* ctx, struct tag tag) {
    struct cpu_state* cpu = this_cpu();
    if (!wanted(cpu, ctx, tag))
        return drop_rejected ? XDP_DROP : XDP_PASS;
    struct packet packet = {
        .ctx = ctx,
        .length = bpf_xdp_get_buff_len(ctx),
        .ifindex = ctx->ingress_ifindex,
        .tag = tag,
        .queue = ctx->rx_queue_index,
        .hook = record_hook_xdp,
    };
    return capture(cpu, &packet) ? XDP_DROP : XDP_PASS;
}

SEC("xdp.frags")
int wirepath_xdp(struct xdp_md* ctx) { return at_xdp(ctx, (struct tag){}); }

/* Native mode, where the driver can tell the tag. */
SEC("xdp.frags")
int wirepath_xdp_tag(struct xdp_md* ctx) { return at_xdp(ctx, tag_from_driver(ctx)); }

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(note_tag, struct sk_buff* skb) {
    note_tag_of(skb);
    return 0;
}

SEC("xdp.frags")
int wirepath_xdp_ntd(struct xdp_md* ctx) { return at_xdp(ctx, noted_tag()); }

static __always_inline int at_tc(struct __sk_buff* skb, __u8 outbound) {
    struct cpu_state* cpu = this_cpu();
    if (!wanted(cpu, skb, (struct tag){}))
        return drop_rejected ? TC_ACT_SHOT : TC_ACT_UNSPEC;
    struct packet packet = {
        .ctx = skb,
        .length = skb->len,
        .ifindex = skb->ifindex,
        .hook = record_hook_tc,
        .bits = outbound | (skb->pkt_type & record_type_mask) << record_type_shift,
    };
    if (skb->vlan_present) {
        packet.tag.tci = skb->vlan_tci;
        packet.tag.tpid = bpf_ntohs(skb->vlan_proto);
    }
    if (skb->gso_segs > 1)
        packet.bits |= record_gso;
    /* One more than the queue that it was received on. On its way out no queue is chosen yet. */
    if (!outbound && skb->queue_mapping != 0)
        packet.queue = skb->queue_mapping - 1;
    if (tell_processes)
        packet.maker = maker_of(skb, outbound);
    return capture(cpu, &packet) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int wirepath_in(struct __sk_buff* skb) { return at_tc(skb, 0); }

SEC("tc")
int wirepath_out(struct __sk_buff* skb) { return at_tc(skb, record_outbound); }
