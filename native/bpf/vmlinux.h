/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types, by hand: only the fields that are used. Clang records which those are, and libbpf looks up where
 * the running kernel has them (CO-RE). */
#ifndef WIREPATH_VMLINUX_H
#define WIREPATH_VMLINUX_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PERCPU_HASH = 5,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_DEVMAP = 14,
    BPF_MAP_TYPE_XSKMAP = 17,
    BPF_MAP_TYPE_SK_STORAGE = 24,
    BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
    BPF_F_NO_PREALLOC = 1 << 0,
    BPF_F_CLONE = 1 << 9,
    BPF_F_MMAPABLE = 1 << 10, /* a map's flags */
    BPF_RB_FORCE_WAKEUP = 1 << 1,
};

enum {
    BPF_ANY = 0,
    BPF_NOEXIST = 1,
};

enum {
    BPF_SK_STORAGE_GET_F_CREATE = 1,
    BPF_HDR_START_NET = 1,
    BPF_F_CURRENT_NETNS = -1,
};

enum tpacket_versions {
    TPACKET_V1,
    TPACKET_V2,
    TPACKET_V3,
};

enum xdp_action {
    XDP_ABORTED,
    XDP_DROP,
    XDP_PASS,
    XDP_TX,
    XDP_REDIRECT,
};

enum {
    TC_ACT_UNSPEC = -1,
    TC_ACT_OK = 0,
    TC_ACT_SHOT = 2,
};

/* A program's context: the verifier rewrites these accesses, so they are not CO-RE's to relocate. */
struct __sk_buff {
    __u32 len;
    __u32 pkt_type;
    __u32 mark;
    __u32 queue_mapping;
    __u32 protocol;
    __u32 vlan_present;
    __u32 vlan_tci;
    __u32 vlan_proto;
    __u32 priority;
    __u32 ingress_ifindex;
    __u32 ifindex;
    __u32 tc_index;
    __u32 cb[5];
    __u32 hash;
    __u32 tc_classid;
    __u32 data;
    __u32 data_end;
    __u32 napi_id;
    __u32 family;
    __u32 remote_ip4;
    __u32 local_ip4;
    __u32 remote_ip6[4];
    __u32 local_ip6[4];
    __u32 remote_port;
    __u32 local_port;
    __u32 data_meta;
    __u64 flow_keys; /* a pointer */
    __u64 tstamp;
    __u32 wire_len;
    __u32 gso_segs;
    __u64 sk; /* a pointer */
    __u32 gso_size;
};

struct xdp_md {
    __u32 data;
    __u32 data_end;
    __u32 data_meta;
    __u32 ingress_ifindex;
    __u32 rx_queue_index;
    __u32 egress_ifindex;
};

struct bpf_sock {
    __u32 bound_dev_if;
};

struct bpf_sock_tuple {
    union {
        struct {
            __be32 saddr, daddr;
            __be16 sport, dport;
        } ipv4;
        struct {
            __be32 saddr[4], daddr[4];
            __be16 sport, dport;
        } ipv6;
    };
};

/* A kprobe's context: by the names that libbpf's macros use without the kernel's own headers. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags,
        rsp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
    __u64 regs[31], sp, pc, pstate;
};
struct pt_regs {
    struct user_pt_regs user_regs;
};
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
    unsigned int inum;
};

struct net {
    struct ns_common ns;
};

typedef struct {
    struct net* net;
} possible_net_t;

struct net_device {
    int ifindex;
    possible_net_t nd_net;
};

struct napi_struct {
    struct net_device* dev;
};

struct sk_buff {
    struct net_device* dev;
    struct sock* sk;
    unsigned char *head, *data;
    unsigned int len, data_len;
    __u16 mac_header;
    int skb_iif;
    __be16 protocol;
    __be16 vlan_proto;
    __u16 vlan_tci;
    __u32 vlan_all; /* 6.3 on: vlan_proto and vlan_tci in one word */
};

/* Until 6.2 the two fields kept their values after the tag was taken off. */
struct sk_buff___with_vlan_present {
    __u8 vlan_present : 1;
};

struct xdp_buff {
    void *data, *data_end;
};

typedef struct {
    int counter;
} atomic_t;

struct in6_addr {
    __u8 in6_u[16];
};

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num;
    unsigned short skc_family;
    volatile unsigned char skc_state;
    int skc_bound_dev_if;
    possible_net_t skc_net;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
};

struct sk_buff_head {
    __u32 qlen;
};

struct sock {
    struct sock_common __sk_common;
    struct sk_buff_head sk_receive_queue;
    atomic_t sk_drops;
    struct {
        atomic_t rmem_alloc;
    } sk_backlog;
    int sk_rcvbuf;
    unsigned int sk_ll_usec;
    struct sk_filter* sk_filter;
    __u16 sk_protocol;
    __u16 sk_type;
    struct numa_drop_counters* sk_drop_counters; /* 6.18 on: what a UDP, raw or packet socket dropped, in two halves */
};

struct numa_drop_counters {
    atomic_t drops0;
    atomic_t drops1;
};

struct packet_fanout {
    unsigned int num_members;
    __u16 id;
    __u8 type;
};

struct tpacket_kbdq_core {
    int kblk_size;
    unsigned int knum_blocks;
};

struct packet_ring_buffer {
    void* pg_vec;
    unsigned int frame_size;
    unsigned int frame_max;
    unsigned int pg_vec_pages;
    unsigned int pg_vec_len;
    struct tpacket_kbdq_core prb_bdqc;
};

struct packet_sock {
    struct sock sk;
    struct packet_fanout* fanout;
    struct packet_ring_buffer rx_ring;
    int ifindex;
    __be16 num;
    enum tpacket_versions tp_version;
    atomic_t tp_drops;
};

struct xsk_queue {
    __u32 nentries;
    __u64 invalid_descs;
    __u64 queue_empty_descs;
};

struct xsk_buff_pool {
    struct xsk_queue* fq;
};

struct xdp_sock {
    struct sock sk;
    struct xsk_queue* rx;
    struct net_device* dev;
    struct xsk_buff_pool* pool;
    __u16 queue_id;
    _Bool zc;
    __u64 rx_dropped;
    __u64 rx_queue_full;
};

struct inode {
    unsigned long i_ino;
};

struct file {
    struct inode* f_inode;
};

struct socket {
    struct sock* sk;
};

struct iov_iter {
    __u64 count; /* size_t */
};

struct msghdr {
    struct iov_iter msg_iter;
};

struct pid_namespace {
    struct ns_common ns;
};

struct upid {
    int nr;
    struct pid_namespace* ns;
};

struct pid {
    unsigned int level;
    struct upid numbers[1];
};

struct kernfs_node {
    __u64 id;
};

struct cgroup {
    struct kernfs_node* kn;
};

struct css_set {
    struct cgroup* dfl_cgrp;
};

struct nsproxy {
    struct net* net_ns;
};

struct task_struct {
    int pid;
    int tgid;
    struct task_struct* group_leader;
    struct pid* thread_pid;
    struct css_set* cgroups;
    struct nsproxy* nsproxy;
    char comm[16];
};

struct seq_file {};

struct bpf_iter_meta {
    struct seq_file* seq;
};

struct bpf_iter__task_file {
    struct bpf_iter_meta* meta;
    struct task_struct* task;
    __u32 fd;
    struct file* file;
};

#pragma clang attribute pop

#endif
