/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts the calls of hooks.def that were made on account of known packets. A packet is known by the magic and the
 * number in it (wirepath.bench.frames), wherever it is seen; calls for others are not counted. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/copies/shared.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define MAGIC 0x6874617065726977ULL /* "wirepath" */
#define MAGIC_AT 42                 /* after the headers of Ethernet, IPv4 and UDP */
#define NET_RX_SOFTIRQ 3
#define AF_PACKET 17
#define AF_XDP 44
#define NO_MAC_HEADER 0xffff

volatile struct copies_settings settings;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COPIES_HOOKS* COPIES_SIDES);
    __type(key, __u32);
    __type(value, struct copies_tally);
} tallies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COPIES_SYSCALLS);
    __type(key, __u32);
    __type(value, __u64);
} syscalls SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, COPIES_IRQS);
    __type(key, __u32);
    __type(value, __u64);
} irqs SEC(".maps");

/* What this CPU's softirq is doing. */
struct progress {
    __u64 polls;   /* since the programs run */
    __u32 in_poll; /* of our packets, since the last poll ended */
    __u32 in_softirq;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct progress);
} here SEC(".maps");

/* Who made an sk_buff, until it is seen on its way in. */
struct birth {
    __u64 polls;
    __u32 hook;
    __u32 cpu;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, struct birth);
} births SEC(".maps");

static __always_inline struct progress* progress_here(void) {
    const __u32 zero = 0;
    return bpf_map_lookup_elem(&here, &zero);
}

static __always_inline void count(__u32 hook, __u32 side, __u64 bytes) {
    const __u32 key = hook * COPIES_SIDES + side;
    struct copies_tally* tally = bpf_map_lookup_elem(&tallies, &key);
    if (tally) {
        ++tally->calls;
        tally->bytes += bytes;
    }
}

static __always_inline _Bool is_at(const struct net_device* dev, const volatile struct copies_interface* at) {
    return dev && BPF_CORE_READ(dev, ifindex) == (int)at->ifindex &&
           BPF_CORE_READ(dev, nd_net.net, ns.inum) == at->netns;
}

/* Whether a frame that begins here is one of those sent. */
static __always_inline _Bool is_ours(const void* frame) {
    struct {
        __u64 magic;
        __u64 number;
    } mark = {};
    if (bpf_probe_read_kernel(&mark, sizeof mark, frame + MAGIC_AT) != 0 || mark.magic != MAGIC)
        return 0;
    return bpf_be64_to_cpu(mark.number) - settings.first < settings.packets;
}

static __always_inline const void* frame_of(const struct sk_buff* skb) {
    const __u16 mac_header = BPF_CORE_READ(skb, mac_header);
    const unsigned char* data = BPF_CORE_READ(skb, data);
    if (mac_header == NO_MAC_HEADER)
        return data;
    const unsigned char* frame = BPF_CORE_READ(skb, head) + mac_header;
    return frame <= data ? frame : data;
}

static __always_inline __u32 bytes_before_pages(const struct sk_buff* skb) {
    return BPF_CORE_READ(skb, len) - BPF_CORE_READ(skb, data_len) +
           (__u32)((const void*)BPF_CORE_READ(skb, data) - frame_of(skb));
}

/* A driver may leave all but the Ethernet header in pages, which cannot be read here: then the length and the interface
 * have to do. */
static __always_inline _Bool looks_like_ours(const struct sk_buff* skb) {
    if (bytes_before_pages(skb) >= MAGIC_AT + 16)
        return 0;
    if (bytes_before_pages(skb) + BPF_CORE_READ(skb, data_len) != settings.frame_bytes)
        return 0;
    const struct net_device* dev = BPF_CORE_READ(skb, dev);
    return dev ? is_at(dev, &settings.receiver) : BPF_CORE_READ(skb, skb_iif) == (int)settings.receiver.ifindex;
}

static __always_inline _Bool is_our_skb(const struct sk_buff* skb) {
    return settings.packets && skb && (is_ours(frame_of(skb)) || looks_like_ours(skb));
}

static __always_inline __u32 side_of(const struct sk_buff* skb) {
    return is_at(BPF_CORE_READ(skb, dev), &settings.sender) ? COPIES_SENDER : COPIES_RECEIVER;
}

static __always_inline void came_in(void) {
    struct progress* progress = progress_here();
    if (progress)
        progress->in_poll = progress->in_softirq = 1;
}

/* Observations: what hooks.def names. */

static __always_inline void copied_skb(__u32 hook, __u64 skb, __u64 bytes) {
    if (is_our_skb((void*)skb))
        count(hook, side_of((void*)skb), bytes);
}

static __always_inline void called_with(__u32 hook, __u64 skb) { copied_skb(hook, skb, 0); }

static __always_inline __u64 linear_bytes(__u64 skb) { return bytes_before_pages((void*)skb); }

static __always_inline __u64 paged_bytes(__u64 skb) { return BPF_CORE_READ((struct sk_buff*)skb, data_len); }

/* From a program's own buffer, if all of it lies before the pages: of the rest skb_copy_bits takes care. */
static __always_inline void copied_linear(__u32 hook, __u64 skb, __u32 offset, __u64 bytes) {
    const struct sk_buff* from = (void*)skb;
    const __u32 linear = BPF_CORE_READ(from, len) - BPF_CORE_READ(from, data_len);
    copied_skb(hook, skb, offset + bytes <= linear ? bytes : 0);
}

/* If the buffer is too small for all of it, skb_copy_datagram_iter copies instead. */
static __always_inline __u64 summed_bytes(__u64 skb, __u32 offset, __u64 msg) {
    const __u32 bytes = BPF_CORE_READ((struct sk_buff*)skb, len) - offset;
    return BPF_CORE_READ((struct msghdr*)msg, msg_iter.count) < bytes ? 0 : bytes;
}

/* Of a traced function, where the verifier does not let the context be read: pointers to pointers. */
static __always_inline __u64 argument(void* ctx, __u32 number) {
    __u64 found = 0;
    bpf_get_func_arg(ctx, number, &found);
    return found;
}

static __always_inline __u64 pointed_to(__u64 pointer) {
    __u64 found = 0;
    bpf_probe_read_kernel(&found, sizeof found, (void*)pointer);
    return found;
}

static __always_inline __u64 xdp_bytes(__u64 xdp) {
    const struct xdp_buff* buff = (void*)xdp;
    return BPF_CORE_READ(buff, data_end) - BPF_CORE_READ(buff, data);
}

static __always_inline void copied_xdp(__u32 hook, __u64 xdp, __u64 bytes) {
    if (!settings.packets || !is_ours(BPF_CORE_READ((struct xdp_buff*)xdp, data)))
        return;
    came_in();
    count(hook, COPIES_RECEIVER, bytes);
}

static __always_inline void copied_memory(__u32 hook, __u64 from, __u64 bytes) {
    if (settings.packets && is_ours((void*)from))
        count(hook, COPIES_RECEIVER, bytes);
}

/* How much of the context a program asks bpf_perf_event_output to add: in the flags' upper half. */
static __always_inline __u64 context_bytes(__u64 flags) { return flags >> 32 & 0xfffff; }

static __always_inline void at_interface(__u32 hook, __u64 dev) {
    if (settings.packets && is_at((void*)dev, &settings.receiver)) {
        came_in();
        count(hook, COPIES_RECEIVER, 0);
    }
}

/* An sk_buff that our packet came in: how was it made? One that was allocated in this very poll was empty when the
 * packet had come already, so that its bytes must have been copied into it; one of a receive ring was allocated before.
 */
static __always_inline void judge(const struct sk_buff* skb, __u64 most_polls_since) {
    const __u64 key = (__u64)skb;
    struct birth* birth = bpf_map_lookup_elem(&births, &key);
    const struct progress* progress = progress_here();
    if (!birth || !progress)
        return;
    count(birth->hook, COPIES_RECEIVER, 0);
    const _Bool empty = birth->hook == COPIES_napi_alloc_skb || birth->hook == COPIES___netdev_alloc_skb;
    if (empty && birth->cpu == bpf_get_smp_processor_id() && progress->polls - birth->polls <= most_polls_since)
        count(COPIES_driver_copy, COPIES_RECEIVER, linear_bytes(key));
    bpf_map_delete_elem(&births, &key);
}

static __always_inline void entered(__u32 hook, __u64 skb, __u64 most_polls_since) {
    const struct sk_buff* in = (void*)skb;
    if (!is_our_skb(in) || !is_at(BPF_CORE_READ(in, dev), &settings.receiver))
        return;
    came_in();
    count(hook, COPIES_RECEIVER, 0);
    judge(in, most_polls_since);
}

/* GRO hands on what is left when the poll, and the tracepoint of its end, are over. */
static __always_inline void entered_stack(__u32 hook, __u64 skb) { entered(hook, skb, 1); }
static __always_inline void entered_gro(__u32 hook, __u64 skb) { entered(hook, skb, 0); }

/* Also while nothing is counted: a receive ring is filled long before the packets come. */
static __always_inline void allocated(__u32 hook, void* ctx) {
    __u64 skb = 0;
    const struct progress* progress = progress_here();
    if (!progress || bpf_get_func_ret(ctx, &skb) != 0 || !skb)
        return;
    const struct birth birth = {progress->polls, hook, bpf_get_smp_processor_id()};
    bpf_map_update_elem(&births, &skb, &birth, BPF_ANY);
}

static __always_inline void socket_told(__u32 hook, __u64 sk) {
    const struct sock* sock = (void*)sk;
    const __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
    if (settings.packets && (family == AF_PACKET || family == AF_XDP) &&
        BPF_CORE_READ(sock, __sk_common.skc_net.net, ns.inum) == settings.receiver.netns)
        count(hook, COPIES_RECEIVER, 0);
}

static __always_inline void thread_woken(__u32 hook, __u64 task) {
    if (settings.packets && BPF_CORE_READ((struct task_struct*)task, pid) == (int)settings.thread)
        count(hook, COPIES_RECEIVER, 0);
}

static __always_inline void bump(void* map, __u32 key) {
    __u64* value = bpf_map_lookup_elem(map, &key);
    if (value)
        ++*value;
}

static __always_inline void system_call(__u32 hook, __u64 number) {
    if (!settings.packets || (__u32)bpf_get_current_pid_tgid() != settings.thread)
        return;
    count(hook, COPIES_RECEIVER, 0);
    bump(&syscalls, (__u32)number);
}

/* Which of them are the NIC's the reader knows. */
static __always_inline void interrupted(__u32 hook, __u64 irq) {
    if (settings.packets)
        bump(&irqs, (__u32)irq);
}

static __always_inline void polled(__u32 hook, __u64 napi) {
    struct progress* progress = progress_here();
    if (!progress)
        return;
    ++progress->polls;
    if (settings.packets) {
        const struct net_device* dev = BPF_CORE_READ((struct napi_struct*)napi, dev);
        if (is_at(dev, &settings.receiver) || (!is_at(dev, &settings.sender) && progress->in_poll)) {
            count(hook, COPIES_RECEIVER, 0);
            progress->in_softirq = 1;
        }
    }
    progress->in_poll = 0;
}

static __always_inline void left_softirq(__u32 hook, __u32 vector) {
    struct progress* progress = progress_here();
    if (vector != NET_RX_SOFTIRQ || !progress)
        return;
    if (settings.packets && progress->in_softirq)
        count(hook, COPIES_RECEIVER, 0);
    progress->in_softirq = 0;
}

/* The programs. Arguments that an observation does not use are never read. */

#define OBSERVE(name, number, ...)                                                                                     \
    static __always_inline void see_##name(void* ctx, __u64 a0, __u64 a1, __u64 a2, __u64 a3) {                        \
        const __u32 hook = number;                                                                                     \
        (void)hook;                                                                                                    \
        __VA_ARGS__;                                                                                                   \
    }

#define COPIES_FUNCTION(hook, function, names, ...)                                                                    \
    OBSERVE(fn_##function, COPIES_##hook, __VA_ARGS__)                                                                 \
    SEC("fentry/" #function)                                                                                           \
    int fentry_##function(__u64* ctx) {                                                                                \
        see_fn_##function(ctx, ctx[0], ctx[1], ctx[2], ctx[3]);                                                        \
        return 0;                                                                                                      \
    }                                                                                                                  \
    SEC("kprobe/" #function)                                                                                           \
    int kprobe_##function(struct pt_regs* ctx) {                                                                       \
        see_fn_##function(ctx, PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx), PT_REGS_PARM4(ctx));        \
        return 0;                                                                                                      \
    }

#define COPIES_RETURN(hook, function, names, ...)                                                                      \
    OBSERVE(ret_##function, COPIES_##hook, __VA_ARGS__)                                                                \
    SEC("fexit/" #function)                                                                                            \
    int fexit_##function(__u64* ctx) {                                                                                 \
        see_ret_##function(ctx, 0, 0, 0, 0);                                                                           \
        return 0;                                                                                                      \
    }

#define COPIES_TRACEPOINT(hook, tracepoint, ...)                                                                       \
    OBSERVE(tp_##tracepoint, COPIES_##hook, __VA_ARGS__)                                                               \
    SEC("tp_btf/" #tracepoint)                                                                                         \
    int tp_##tracepoint(__u64* ctx) {                                                                                  \
        see_tp_##tracepoint(ctx, ctx[0], ctx[1], ctx[2], ctx[3]);                                                      \
        return 0;                                                                                                      \
    }

#include "trace/copies/hooks.def"

/* Run once by the thread that will receive, never attached: its number as the kernel has it, not as a container does.
 */
SEC("raw_tp/adopt")
int adopt(void* ctx) {
    settings.thread = (__u32)bpf_get_current_pid_tgid();
    return 0;
}
