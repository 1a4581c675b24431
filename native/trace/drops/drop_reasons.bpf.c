/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts what the kernel throws away, by reason, place, namespace, interface and protocol. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/drops/records.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, WIREPATH_DROP_ROWS);
    __type(key, struct drop_key);
    __type(value, __u64);
} drops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct xdp_key);
    __type(value, __u64);
} xdp_losses SEC(".maps");

/* What found no room in a map. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} uncounted SEC(".maps");

static __always_inline void add(void* map, const void* key, __u64 amount) {
    const __u64 none = 0;
    __u64* value = bpf_map_lookup_elem(map, key);
    if (!value) {
        bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
        value = bpf_map_lookup_elem(map, key);
    }
    if (!value) {
        const __u32 zero = 0;
        map = &uncounted;
        value = bpf_map_lookup_elem(map, &zero);
    }
    if (value)
        *value += amount;
}

/* UDP keeps the lengths of a queued skb where its device was: what is no address in the kernel is no device. Read as a
 * number, since the verifier allows no arithmetic with a pointer. */
static __always_inline struct net_device* device_of(struct sk_buff* skb) {
    long address = 0;
    bpf_probe_read_kernel(&address, sizeof address, &skb->dev);
    return address < 0 ? (struct net_device*)address : 0;
}

static __always_inline int count(struct sk_buff* skb, void* location, __u32 reason, struct sock* receiver) {
    struct drop_key key = {};
    struct net_device* dev = device_of(skb);
    struct sock* sk = receiver ? receiver : skb->sk;
    key.location = (__u64)location;
    key.reason = reason;
    key.protocol = bpf_ntohs(skb->protocol);
    key.ifindex = dev ? BPF_CORE_READ(dev, ifindex) : skb->skb_iif;
    if (dev)
        key.netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
    else if (sk)
        key.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    add(&drops, &key, 1);
    return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(count_drop, struct sk_buff* skb, void* location, __u32 reason) { return count(skb, location, reason, 0); }

/* From Linux 6.11 on the tracepoint also tells for which socket the packet was. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(count_drop_of_socket, struct sk_buff* skb, void* location, __u32 reason, struct sock* receiver) {
    return count(skb, location, reason, receiver);
}

static __always_inline void lose(enum xdp_loss kind, int code, const struct net_device* dev, __u64 frames) {
    struct xdp_key key = {.kind = kind, .code = code};
    if (dev) {
        key.ifindex = dev->ifindex;
        key.netns = BPF_CORE_READ(dev, nd_net.net, ns.inum);
    }
    add(&xdp_losses, &key, frames);
}

SEC("tp_btf/xdp_exception")
int BPF_PROG(count_exception, const struct net_device* dev, const void* program, __u32 action) {
    lose(XDP_LOSS_EXCEPTION, (int)action, dev, 1);
    return 0;
}

SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(count_redirect, const struct net_device* dev, const void* program, const void* target, int err) {
    lose(XDP_LOSS_REDIRECT, -err, dev, 1);
    return 0;
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(count_devmap, const struct net_device* from, const struct net_device* to, int sent, int dropped, int err) {
    if (dropped > 0)
        lose(XDP_LOSS_DEVMAP, -err, from, (__u64)dropped);
    return 0;
}
