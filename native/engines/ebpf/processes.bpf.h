/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose packet it is. Each socket carries the process that made it, in storage of its own, which goes with the socket.
 * One program notes it when a socket is made, another one for the sockets that are there when the capture begins; an
 * accepted connection has it from the socket that listened. Of a packet that is sent the socket is known; for one that
 * comes in it is looked up as the network stack will, behind tc. */
#ifndef WIREPATH_EBPF_PROCESSES_BPF_H
#define WIREPATH_EBPF_PROCESSES_BPF_H

#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "engines/ebpf/layout.h"

const volatile int tell_processes = 0;
const volatile __u32 pid_namespace = 0; /* the engine's: its numbers are told */

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct socket_maker);
} makers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct socket_maker);
    __type(value, struct maker_process);
} processes SEC(".maps");

struct ip_address {
    __u8 bytes[16];
};

/* Of the interfaces' network namespace, IPv4 as ::ffff:a.b.c.d. A socket that is bound to no address would seem to be
 * meant by packets for other hosts, too. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct ip_address);
    __type(value, __u8);
} local_addresses SEC(".maps");

/* Of the process, as the engine's process namespace numbers it; 0: it is not in there. */
static __always_inline __u32 number_of(struct task_struct* task) {
    struct pid* pid = BPF_CORE_READ(task, group_leader, thread_pid);
    const __u32 level = BPF_CORE_READ(pid, level);
    const char* first = (char*)pid + bpf_core_field_offset(struct pid, numbers);
    for (__u32 i = 0; i < 32 && i <= level; ++i) {
        const struct upid* number = (void*)(first + i * bpf_core_type_size(struct upid));
        if (BPF_CORE_READ(number, ns, ns.inum) == pid_namespace)
            return BPF_CORE_READ(number, nr);
    }
    return 0;
}

static __always_inline void note_process(struct socket_maker* maker, struct task_struct* task, __u32 netns) {
    maker->pid = number_of(task);
    maker->netns = maker->pid != 0 ? netns : 0;
    if (maker->pid == 0)
        return;
    struct maker_process process = {.cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id)};
    BPF_CORE_READ_STR_INTO(&process.command, task, group_leader, comm);
    const struct socket_maker key = *maker;
    bpf_map_update_elem(&processes, &key, &process, BPF_ANY);
}

SEC("cgroup/sock_create")
int note_maker(struct bpf_sock* ctx) {
    struct socket_maker* maker = bpf_sk_storage_get(&makers, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (maker) {
        struct task_struct* task = (void*)bpf_get_current_task();
        note_process(maker, task, BPF_CORE_READ(task, nsproxy, net_ns, ns.inum));
    }
    return 1;
}

/* Processes come in the order of their ids: the first that has a socket open is taken for the one that made it. */
SEC("iter/task_file")
int note_holders(struct bpf_iter__task_file* ctx) {
    struct task_struct* task = ctx->task;
    struct file* file = ctx->file;
    if (!task || !file)
        return 0;
    struct socket* socket = bpf_sock_from_file(file);
    if (!socket)
        return 0;
    struct sock* sk = socket->sk;
    if (!sk)
        return 0;
    struct socket_maker* maker = bpf_sk_storage_get(&makers, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (maker && maker->pid == 0)
        note_process(maker, task, BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum));
    return 0;
}

struct ipv4_start {
    __u8 version_and_length;
    __u8 tos;
    __be16 length, id, fragment;
    __u8 ttl, protocol;
    __be16 checksum;
    __be32 source, destination;
};

struct ipv6_start {
    __be32 version_class_flow;
    __be16 length;
    __u8 next_header, hop_limit;
    struct ip_address source, destination;
};

struct ports {
    __be16 source, destination;
};

static __always_inline int is_local(const struct ip_address* address) {
    return bpf_map_lookup_elem(&local_addresses, address) != 0;
}

static __always_inline int is_local_ipv4(__be32 address) {
    if ((bpf_ntohl(address) >> 24) == 127)
        return 1;
    struct ip_address mapped = {};
    mapped.bytes[10] = mapped.bytes[11] = 0xff;
    __builtin_memcpy(&mapped.bytes[12], &address, sizeof address);
    return is_local(&mapped);
}

static __always_inline int load_ports(struct __sk_buff* skb, __u32 offset, struct ports* to) {
    return bpf_skb_load_bytes_relative(skb, offset, to, sizeof *to, BPF_HDR_START_NET) == 0;
}

/* The protocol, 0: there is nothing to look for. `tuple` is as of a packet that comes in: its destination is ours. */
static __always_inline int ipv4_tuple(struct __sk_buff* skb, int outbound, struct bpf_sock_tuple* tuple) {
    struct ipv4_start ip;
    struct ports ports;
    if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof ip, BPF_HDR_START_NET) != 0)
        return 0;
    if (ip.fragment & bpf_htons(0x1fff)) /* not the first: it has no ports */
        return 0;
    if (!load_ports(skb, (ip.version_and_length & 0xf) * 4, &ports))
        return 0;
    tuple->ipv4.saddr = outbound ? ip.destination : ip.source;
    tuple->ipv4.daddr = outbound ? ip.source : ip.destination;
    tuple->ipv4.sport = outbound ? ports.destination : ports.source;
    tuple->ipv4.dport = outbound ? ports.source : ports.destination;
    return is_local_ipv4(tuple->ipv4.daddr) ? ip.protocol : 0;
}

static __always_inline int ipv6_tuple(struct __sk_buff* skb, int outbound, struct bpf_sock_tuple* tuple) {
    struct ipv6_start ip;
    struct ports ports;
    if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof ip, BPF_HDR_START_NET) != 0)
        return 0;
    if (!load_ports(skb, sizeof ip, &ports))
        return 0;
    const struct ip_address* ours = outbound ? &ip.source : &ip.destination;
    __builtin_memcpy(tuple->ipv6.saddr, outbound ? &ip.destination : &ip.source, sizeof tuple->ipv6.saddr);
    __builtin_memcpy(tuple->ipv6.daddr, ours, sizeof tuple->ipv6.daddr);
    tuple->ipv6.sport = outbound ? ports.destination : ports.source;
    tuple->ipv6.dport = outbound ? ports.source : ports.destination;
    return is_local(ours) ? ip.next_header : 0;
}

static __always_inline struct bpf_sock* socket_of(struct __sk_buff* skb, int outbound) {
    const int ipv4 = skb->protocol == bpf_htons(0x0800);
    if (!ipv4 && skb->protocol != bpf_htons(0x86dd))
        return 0;
    struct bpf_sock_tuple tuple = {};
    const int protocol = ipv4 ? ipv4_tuple(skb, outbound, &tuple) : ipv6_tuple(skb, outbound, &tuple);
    const __u32 size = ipv4 ? sizeof tuple.ipv4 : sizeof tuple.ipv6;
    if (protocol == 6)
        return bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
    return protocol == 17 ? bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0) : 0;
}

static __always_inline struct socket_maker look_up_maker(struct __sk_buff* skb, int outbound) {
    struct socket_maker found = {};
    struct bpf_sock* sk = socket_of(skb, outbound);
    if (!sk)
        return found;
    const struct socket_maker* maker = bpf_sk_storage_get(&makers, sk, 0, 0);
    if (maker)
        found = *maker;
    bpf_sk_release(sk);
    return found;
}

/* 0: not known. On its way in a packet may still name the socket that sent it, on the other side of a veth. */
static __always_inline struct socket_maker maker_of(struct __sk_buff* skb, int outbound) {
    const struct socket_maker nobody = {};
    if (!outbound)
        return skb->pkt_type == 0 /* for this host alone */ ? look_up_maker(skb, 0) : nobody;
    struct bpf_sock* sk = (void*)skb->sk;
    if (!sk)
        return nobody;
    if (!bpf_sk_fullsock(sk)) /* of a connection that is being made: it belongs to the socket that listens */
        return look_up_maker(skb, 1);
    const struct socket_maker* maker = bpf_sk_storage_get(&makers, sk, 0, 0);
    return maker ? *maker : nobody;
}

#endif
