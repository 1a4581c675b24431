/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* What the BPF programs and the engine share: blocks of memory that programs fill with records and the engine reads in
 * place. A CPU fills one block at a time, and nobody else writes there, so that no lock is needed. Which block a CPU
 * takes next is the one thing that they have to agree on. */
#ifndef WIREPATH_EBPF_LAYOUT_H
#define WIREPATH_EBPF_LAYOUT_H

enum {
    ebpf_most_cpus = 1024,
    ebpf_most_blocks = 16384, /* a power of two */
    ebpf_alignment = 8,       /* of records */
};

/* At the beginning of each block. */
struct block_header {
    unsigned int used; /* bytes, with this header: all records before it are complete */
    unsigned int next; /* 0: still being filled; else 1 + the block that its CPU went on with */
};

enum record_hook {
    record_hook_xdp = 1,
    record_hook_tc = 2,
};

enum record_bits {
    record_outbound = 1 << 0,
    record_type_shift = 1, /* PACKET_HOST to PACKET_OTHERHOST, two bits; at tc only */
    record_type_mask = 3,
    record_gso = 1 << 3,
};

/* A packet; its bytes follow. */
struct record {
    unsigned long long ts_monotonic_ns;
    unsigned int caplen;
    unsigned int origlen;
    unsigned int ifindex;
    unsigned int mark;
    unsigned short queue;
    unsigned short vlan_tci;
    unsigned short vlan_tpid; /* 0: no tag beside the bytes */
    unsigned char hook;
    unsigned char bits;
    unsigned int pid;   /* 0: not known */
    unsigned int netns; /* of the socket; 0: not known */
};

/* Who made a socket, and in which network namespace (the inode number). */
struct socket_maker {
    unsigned int pid;
    unsigned int netns;
};

struct maker_process {
    char command[16];
    unsigned long long cgroup; /* its id */
};

/* Blocks that are free, in the order in which they will be taken: the engine puts them in, any CPU takes the next.
 * An entry is 1 + its number in this queue in the upper half, and the block in the lower: who reads one that was not
 * yet written, or is overwritten already, sees the wrong number. */
struct free_blocks {
    unsigned int put __attribute__((aligned(64)));
    unsigned int taken __attribute__((aligned(64)));
    unsigned long long entries[ebpf_most_blocks] __attribute__((aligned(64)));
};

struct cpu_state {
    unsigned int first; /* 1 + the block that it began with; 0: none yet */
    unsigned int block; /* 1 + the block that it fills */
    unsigned int used;  /* bytes of it */
    unsigned int unused;
    unsigned long long lost;     /* packets that found no room */
    unsigned long long rejected; /* by the filter, or not captured because the user's program said so */
} __attribute__((aligned(64)));

#endif
