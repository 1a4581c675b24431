/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts the NAPI polls of one interface. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "trace/polls.h"

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile int ifindex = 0;
const volatile __u32 netns = 0; /* an index means nothing outside its namespace */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct poll_counts);
} counts SEC(".maps");

/* napi_poll(napi, work, budget): after the poll. The backlog's instance has no device. */
SEC("raw_tp/napi_poll")
int count_poll(unsigned long long* args) {
    const struct napi_struct* napi = (const struct napi_struct*)args[0];
    const struct net_device* dev = BPF_CORE_READ(napi, dev);
    __u32 key = 0;
    struct poll_counts* counted;
    if (dev == NULL || BPF_CORE_READ(dev, ifindex) != ifindex || BPF_CORE_READ(dev, nd_net.net, ns.inum) != netns)
        return 0;
    counted = bpf_map_lookup_elem(&counts, &key);
    if (counted == NULL)
        return 0;
    ++counted->polls;
    counted->packets += (int)args[1];
    if ((int)args[1] == 0)
        ++counted->empty;
    if ((int)args[1] >= (int)args[2])
        ++counted->full;
    return 0;
}
