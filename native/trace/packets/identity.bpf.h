/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packet an skb is: by its address, and by the address of its bytes, which clones share.
 *
 * The kernel uses addresses again as soon as they are free, and frees some skbs without a tracepoint. So an identity
 * also has a fingerprint: what of a packet's headers stays as it is on its way through a host (through NAT, too), and
 * differs from packet to packet. Where an skb's way may begin, the fingerprint says whether it is still the same. */
#ifndef WIREPATH_TRACE_IDENTITY_H
#define WIREPATH_TRACE_IDENTITY_H

#include "trace/packets/cbpf.bpf.h"

struct fingerprint {
    __u32 headers;
    __u32 payload; /* 0: it does not lie where it can be looked at, or not yet */
};

struct identity {
    __u64 packet;
    __u64 head;
    struct fingerprint print;
    __u32 netns, ifindex; /* where it was last; once a socket has it, it does not say */
    __u16 l3;             /* where its network header is, from head */
    __u8 told;            /* its bytes have been sent to the reader */
    __u8 queued;          /* at a socket */
};

struct body {
    __u64 packet;
    struct fingerprint print;
    __u32 told;
};

/* Least recently used: an identity whose end was not seen makes room. */
struct {
    __uint(type, map_lru_hash);
    __uint(max_entries, 1 << 16);
    __type(key, __u64);
    __type(value, struct identity);
} by_skb SEC(".maps");

struct {
    __uint(type, map_lru_hash);
    __uint(max_entries, 1 << 16);
    __type(key, __u64);
    __type(value, struct body);
} by_head SEC(".maps");

/* Those of a datagram socket's queue that are followed: who takes one leaves only its length. */
enum { most_waiting = 8 };

struct waiting {
    __u64 skb[most_waiting];
    __u32 bytes[most_waiting];
    __u32 next;
};

struct {
    __uint(type, map_lru_hash);
    __uint(max_entries, 1 << 12);
    __type(key, __u64);
    __type(value, struct waiting);
} by_socket SEC(".maps");

static __always_inline __u32 byte_at(const struct sight* s, __u32 at) {
    return s->bytes[at & (trace_filter_window - 1)];
}

static __always_inline __u32 half_at(const struct sight* s, __u32 at) {
    return byte_at(s, at) << 8 | byte_at(s, at + 1);
}

static __always_inline __u32 word_at(const struct sight* s, __u32 at) {
    return half_at(s, at) << 16 | half_at(s, at + 2);
}

static __always_inline __u32 mixed(__u32 into, __u32 value) {
    into = (into ^ value) * 0x9e3779b1u;
    return into ^ into >> 15;
}

static __always_inline _Bool same_print(struct fingerprint a, struct fingerprint b) {
    return a.headers == b.headers && (a.payload == b.payload || a.payload == 0 || b.payload == 0);
}

/* The first bytes behind the transport header, or what follows a header that has no more of its own. */
static __always_inline __u32 payload_print(const struct sight* s, __u32 at) {
    if (at + 16 > s->window)
        return 0;
    __u32 print = mixed(word_at(s, at), word_at(s, at + 4));
    print = mixed(print, word_at(s, at + 8));
    return mixed(print, word_at(s, at + 12)) | 1;
}

/* What of the transport header stays: checksums and ports do not. */
static __always_inline struct fingerprint transport_print(const struct sight* s, __u32 print, __u32 at,
                                                          __u32 protocol) {
    struct fingerprint result = {print, 0};
    if (at + 8 > s->window)
        return result;
    switch (protocol) {
    case 6: /* TCP: sequence and acknowledgement number */
        result.headers = mixed(print, word_at(s, at + 4));
        if (at + 12 <= s->window)
            result.headers = mixed(result.headers, word_at(s, at + 8));
        break;
    case 17: /* UDP: the length */
        result.headers = mixed(print, half_at(s, at + 4));
        result.payload = payload_print(s, at + 8);
        break;
    case 1: /* ICMP and ICMPv6: type, sequence number */
    case 58:
        result.headers = mixed(print, byte_at(s, at) << 16 | half_at(s, at + 6));
        result.payload = payload_print(s, at + 8);
    }
    return result;
}

/* Where the network header begins, in the window. */
static __always_inline __u32 network_offset(const struct sight* s, __u32* ethertype) {
    __u32 at = 0;
    if (s->variant == without_mac) {
        *ethertype = byte_at(s, 0) >> 4 == 6 ? 0x86dd : 0x0800;
        return 0;
    }
    *ethertype = half_at(s, 12);
    at = 14;
    if (*ethertype == 0x8100 || *ethertype == 0x88a8) {
        *ethertype = half_at(s, 16);
        at = 18;
    }
    return at;
}

/* headers is 0 if there is not enough to tell. */
static __always_inline struct fingerprint fingerprint_of(const struct sight* s, __u32* l3) {
    __u32 ethertype = 0;
    const __u32 at = network_offset(s, &ethertype);
    struct fingerprint result = {ethertype, 0};
    *l3 = at;
    if (at + 28 > s->window)
        return (struct fingerprint){};
    if (ethertype == 0x0800) {
        const __u32 protocol = byte_at(s, at + 9);
        __u32 print = mixed(ethertype, half_at(s, at + 4) << 16 | (half_at(s, at + 6) & 0x3fff)); /* identification */
        print = mixed(print, protocol);
        const _Bool first_fragment = (half_at(s, at + 6) & 0x1fff) == 0;
        result = transport_print(s, print, at + (byte_at(s, at) & 0xf) * 4, first_fragment ? protocol : 0);
    } else if (ethertype == 0x86dd) {
        const __u32 protocol = byte_at(s, at + 6);
        __u32 print = mixed(ethertype, word_at(s, at) & 0xfffff); /* flow label */
        print = mixed(print, protocol);
        result = transport_print(s, print, at + 40, protocol);
    } else { /* ARP: what is asked, who asks, for what; of others, what stands there */
        __u32 print = mixed(ethertype, word_at(s, at + 4));
        print = mixed(print, word_at(s, at + 14));
        result.headers = mixed(print, word_at(s, at + 24));
    }
    result.headers |= 1;
    return result;
}

#endif
