/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the BPF half and its reader tell each other. */
#ifndef WIREPATH_TRACE_COPIES_SHARED_H
#define WIREPATH_TRACE_COPIES_SHARED_H

/* Hooks by number, in the order of hooks.def. */
enum copies_hook {
#define COPIES_HOOK(hook, ...) COPIES_##hook,
#include "trace/copies/hooks.def"
    COPIES_HOOKS
};

/* On whose account a call was. */
enum copies_side { COPIES_RECEIVER, COPIES_SENDER, COPIES_SIDES };

enum { COPIES_SYSCALLS = 1024, COPIES_IRQS = 4096 };

/* An interface by the number of its network namespace (its inode) and its own there. */
struct copies_interface {
    unsigned int netns;
    unsigned int ifindex;
};

/* The packets that are counted, and who receives them. Written by the reader, also while the programs run. */
struct copies_settings {
    unsigned long long first;    /* the number in the first packet */
    unsigned long long packets;  /* how many there are; 0: nothing is counted */
    unsigned int frame_bytes;    /* of each */
    unsigned int thread;         /* that receives */
    struct copies_interface receiver, sender;
};

struct copies_tally {
    unsigned long long calls;
    unsigned long long bytes;
};

#endif
