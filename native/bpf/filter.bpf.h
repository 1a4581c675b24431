/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The place in a program where the user's filter is called: linux/bpf_splice.hpp puts it there. */
#ifndef WIREPATH_BPF_FILTER_H
#define WIREPATH_BPF_FILTER_H

#include "bpf/filter_mark.h"

#define WIREPATH_STRINGIZE(x) #x
#define WIREPATH_TEXT(x) WIREPATH_STRINGIZE(x)

/* 0: the filter rejects the packet. Until a filter is put there, everything matches. At XDP, tag is what is known of a
 * VLAN tag beside the bytes: TPID << 16 | TCI, 0 for none; elsewhere it is not looked at. */
static __always_inline __u32 filter_packet(void* ctx, __u32 tag) {
    __u64 value;
    asm volatile("r1 = %[ctx]\n"
                 "r2 = %[tag]\n"
                 "r0 = " WIREPATH_TEXT(WIREPATH_FILTER_MARK) "\n"
                                                             "%[value] = r0\n"
                 : [value] "=r"(value)
                 : [ctx] "r"(ctx), [tag] "r"((__u64)tag)
                 : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
    return (__u32)value;
}

#endif
