/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Captures the segments that begin or end a TCP connection (SYN, FIN, RST), marked with their flags, and counts all
 * segments by their flags:
 *
 *     wirepath capture -i eth0 --engine ebpf -o program=examples/tcp_flags.bpf.c tcp
 *     bpftool map dump name tcp_flags        # while it runs
 */
#include "wirepath.bpf.h"

#define ETHERNET_HEADER 14
#define FIN 0x01
#define SYN 0x02
#define RST 0x04

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} tcp_flags SEC(".maps");

/* Where the TCP header begins; 0: this is no TCP over IP, or not its first fragment. */
static __u32 tcp_header(void* ctx) {
    __be16 ethertype = 0, fragment = 0;
    __u8 first = 0, protocol = 0;
    wirepath_load(ctx, ETHERNET_HEADER - 2, &ethertype, sizeof ethertype);
    if (ethertype == bpf_htons(0x86dd)) {
        wirepath_load(ctx, ETHERNET_HEADER + 6, &protocol, sizeof protocol);
        return protocol == 6 ? ETHERNET_HEADER + 40 : 0;
    }
    wirepath_load(ctx, ETHERNET_HEADER, &first, sizeof first);
    wirepath_load(ctx, ETHERNET_HEADER + 6, &fragment, sizeof fragment);
    wirepath_load(ctx, ETHERNET_HEADER + 9, &protocol, sizeof protocol);
    if (ethertype != bpf_htons(0x0800) || protocol != 6 || (fragment & bpf_htons(0x1fff)) != 0)
        return 0;
    return ETHERNET_HEADER + (first & 0x0f) * 4;
}

int wirepath_decide(void* ctx, struct wirepath_packet* packet) {
    const __u32 tcp = tcp_header(ctx);
    __u8 flags = 0;
    if (tcp == 0 || wirepath_load(ctx, tcp + 13, &flags, sizeof flags) != 0)
        return WIREPATH_PASS;
    const __u32 key = flags;
    __u64* count = bpf_map_lookup_elem(&tcp_flags, &key);
    if (count)
        ++*count;
    packet->mark = flags;
    return flags & (SYN | FIN | RST) ? WIREPATH_CAPTURE : WIREPATH_PASS;
}
