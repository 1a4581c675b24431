/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs read of the kernel's structures. Behind ___ the names are ours: CO-RE finds the kernel's without
 * it, and other programs may know other fields of the same. */
#ifndef WIREPATH_TRACE_KERNEL_H
#define WIREPATH_TRACE_KERNEL_H

#include "bpf/vmlinux.h"

enum {
    map_array = 2,
    map_percpu_array = 6,
    map_lru_hash = 9,
    map_ring = 27,
    any = 0,
    not_yet_there = 1,
};

struct bpf_raw_tracepoint_args {
    __u64 args[0];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common___seen {
    unsigned int inum;
};

struct net___seen {
    struct ns_common___seen ns;
};

typedef struct {
    struct net___seen* net;
} possible_net_t___seen;

struct net_device___seen {
    char name[16];
    int ifindex;
    unsigned short type;
    possible_net_t___seen nd_net;
};

struct sk_buff___seen {
    struct sk_buff___seen *next, *prev;
    struct net_device___seen* dev;
    unsigned int len, data_len;
    __be16 protocol;
    __u16 transport_header, network_header, mac_header;
    __be16 vlan_proto;
    __u16 vlan_tci;
    __u32 vlan_all; /* 6.3 on */
    __u8 pkt_type : 3;
    unsigned int end;
    unsigned char *head, *data;
};

/* Until 6.2. */
struct sk_buff___tagged {
    __u8 vlan_present : 1;
};

typedef struct {
    int counter;
} atomic_t___seen;

struct skb_shared_info___seen {
    unsigned short gso_size;
    atomic_t___seen dataref;
};

struct sk_buff_head___seen {
    struct sk_buff___seen *next, *prev;
};

struct sock___seen {
    struct sk_buff_head___seen sk_receive_queue;
    __u16 sk_type, sk_protocol;
};

struct xdp_rxq_info___seen {
    struct net_device___seen* dev;
};

struct xdp_buff___seen {
    void *data, *data_end, *data_hard_start;
    struct xdp_rxq_info___seen* rxq;
};

/* 6.2 to 6.14; before and after, preempt_count is a variable of its own. */
struct pcpu_hot {
    int preempt_count;
};

#pragma clang attribute pop

#endif
