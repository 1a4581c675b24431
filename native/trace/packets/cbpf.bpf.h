/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Runs a classic BPF program, as libpcap compiles it, over the bytes of a packet in kernel memory. */
#ifndef WIREPATH_TRACE_CBPF_H
#define WIREPATH_TRACE_CBPF_H

#include "trace/packets/event.h"
#include "trace/packets/kernel.bpf.h"

#include <bpf/bpf_helpers.h>

enum { with_mac = 0, without_mac = 1, variants = 2 }; /* which bytes a packet's first one is among */

const volatile struct trace_instruction program[variants * trace_longest_program] = {};
const volatile __u32 program_length[variants] = {}; /* 0: everything matches */

/* A packet, and the machine that looks at it. */
struct sight {
    __u64 start;   /* where its bytes are */
    __u32 linear;  /* how many of them lie there; what follows is in pages that are not looked at */
    __u32 wirelen; /* its whole length */
    __u32 window;  /* of them in bytes[] */
    __u32 variant;
    __u32 protocol, pkt_type, ifindex, vlan_tci, vlan_tpid, tagged;
    __u32 a, x, pc, verdict;
    __u32 memory[16];
    __u8 bytes[trace_filter_window];
};

enum { /* linux/filter.h: what a load at a negative offset asks for */
       ask_protocol = 0xfffff000,
       ask_pkt_type = ask_protocol + 4,
       ask_ifindex = ask_protocol + 8,
       ask_vlan_tag = ask_protocol + 44,
       ask_vlan_tag_present = ask_protocol + 48,
       ask_vlan_tpid = ask_protocol + 60,
};

static __always_inline int ask(const struct sight* s, __u32 what, __u32* value) {
    switch (what) {
    case ask_protocol:
        *value = s->protocol;
        return 0;
    case ask_pkt_type:
        *value = s->pkt_type;
        return 0;
    case ask_ifindex:
        *value = s->ifindex;
        return 0;
    case ask_vlan_tag:
        *value = s->vlan_tci;
        return 0;
    case ask_vlan_tag_present:
        *value = s->tagged;
        return 0;
    case ask_vlan_tpid:
        *value = s->vlan_tpid;
        return 0;
    }
    return -1;
}

/* -1: the packet has no such bytes, which ends the program: it does not match. */
static __always_inline int load(struct sight* s, __u32 at, __u32 size, __u32* value) {
    __u8 read[4] = {};
    if (at >= ask_protocol)
        return ask(s, at, value);
    if (at > s->linear || size > s->linear - at)
        return -1;
    if (at <= trace_filter_window - 4 && at + size <= s->window) {
        at &= trace_filter_window - 1;
        read[0] = s->bytes[at];
        read[1] = s->bytes[(at + 1) & (trace_filter_window - 1)];
        read[2] = s->bytes[(at + 2) & (trace_filter_window - 1)];
        read[3] = s->bytes[(at + 3) & (trace_filter_window - 1)];
    } else if (bpf_probe_read_kernel(read, size & 7, (void*)(s->start + at)) != 0) {
        return -1;
    }
    if (size == 4)
        *value = (__u32)read[0] << 24 | (__u32)read[1] << 16 | (__u32)read[2] << 8 | read[3];
    else if (size == 2)
        *value = (__u32)read[0] << 8 | read[1];
    else
        *value = read[0];
    return 0;
}

static __always_inline int compute(struct sight* s, __u16 code, __u32 k) {
    const __u32 by = code & 0x08 ? s->x : k;
    switch (code & 0xf0) {
    case 0x00:
        s->a += by;
        return 0;
    case 0x10:
        s->a -= by;
        return 0;
    case 0x20:
        s->a *= by;
        return 0;
    case 0x30:
        if (by == 0)
            return -1;
        s->a /= by;
        return 0;
    case 0x40:
        s->a |= by;
        return 0;
    case 0x50:
        s->a &= by;
        return 0;
    case 0x60:
        s->a = by < 32 ? s->a << by : 0;
        return 0;
    case 0x70:
        s->a = by < 32 ? s->a >> by : 0;
        return 0;
    case 0x80:
        s->a = -s->a;
        return 0;
    case 0x90:
        if (by == 0)
            return -1;
        s->a %= by;
        return 0;
    case 0xa0:
        s->a ^= by;
        return 0;
    }
    return -1;
}

static __always_inline int jump(struct sight* s, __u16 code, __u8 jt, __u8 jf, __u32 k) {
    const __u32 with = code & 0x08 ? s->x : k;
    _Bool yes;
    switch (code & 0xf0) {
    case 0x00:
        s->pc += k;
        return 0;
    case 0x10:
        yes = s->a == with;
        break;
    case 0x20:
        yes = s->a > with;
        break;
    case 0x30:
        yes = s->a >= with;
        break;
    case 0x40:
        yes = (s->a & with) != 0;
        break;
    default:
        return -1;
    }
    s->pc += yes ? jt : jf;
    return 0;
}

/* BPF_LD and BPF_LDX: what goes to A or X. */
static __always_inline int fetch(struct sight* s, __u16 code, __u32 k, __u32* value) {
    const __u32 size = (code & 0x18) == 0x00 ? 4 : (code & 0x18) == 0x08 ? 2 : 1;
    switch (code & 0xe0) {
    case 0x00: /* IMM */
        *value = k;
        return 0;
    case 0x20: /* ABS */
        return load(s, k, size, value);
    case 0x40: /* IND; an offset that wraps is one that no packet has */
        k += s->x;
        if (k < s->x || k >= ask_protocol)
            return -1;
        return load(s, k, size, value);
    case 0x60: /* MEM */
        *value = s->memory[k & 15];
        return 0;
    case 0x80: /* LEN */
        *value = s->wirelen;
        return 0;
    case 0xa0: /* MSH: an IPv4 header's length */
        if (k >= ask_protocol || load(s, k, 1, value) != 0)
            return -1;
        *value = (*value & 0xf) * 4;
        return 0;
    }
    return -1;
}

struct stepping {
    struct sight* sight;
};

/* One instruction. 1 ends the program. */
static long step(__u32 index, struct stepping* on) {
    struct sight* s = on->sight;
    const __u32 at = s->pc;
    if (at >= trace_longest_program || s->variant >= variants)
        return 1;
    const volatile struct trace_instruction* in = &program[s->variant * trace_longest_program + at];
    const __u16 code = in->code;
    const __u32 k = in->k;
    int failed = 0;
    s->pc = at + 1;
    switch (code & 0x07) {
    case 0x00: /* LD */
        failed = fetch(s, code, k, &s->a);
        break;
    case 0x01: /* LDX */
        failed = fetch(s, code, k, &s->x);
        break;
    case 0x02: /* ST */
        s->memory[k & 15] = s->a;
        break;
    case 0x03: /* STX */
        s->memory[k & 15] = s->x;
        break;
    case 0x04: /* ALU */
        failed = compute(s, code, k);
        break;
    case 0x05: /* JMP */
        failed = jump(s, code, in->jt, in->jf, k);
        break;
    case 0x06: /* RET */
        s->verdict = code & 0x18 ? s->a : k;
        return 1;
    default: /* MISC: TAX, TXA */
        if (code & 0x80)
            s->a = s->x;
        else
            s->x = s->a;
    }
    return failed ? 1 : 0;
}

/* Whether the filter wants this packet. */
static __always_inline _Bool run_filter(struct sight* s) {
    if (s->variant >= variants)
        return 0;
    const __u32 length = program_length[s->variant];
    if (length == 0)
        return 1;
    struct stepping on = {s};
    s->a = s->x = s->pc = s->verdict = 0;
    bpf_loop(length, step, &on, 0);
    return s->verdict != 0;
}

/* The verifier looks at what is compared; the compiler is not to use another copy of it. */
#define HELD(value) asm volatile("" : "+r"(value))

/* The first bytes, where the filter mostly looks. */
static __always_inline void fill_window(struct sight* s) {
    __u32 bytes = s->linear;
    HELD(bytes);
    if (bytes > trace_filter_window)
        bytes = trace_filter_window;
    HELD(bytes);
    s->window = bytes == 0 || bpf_probe_read_kernel(s->bytes, bytes, (void*)s->start) != 0 ? 0 : bytes;
}

#endif
