/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs beside this file give to their readers: the same layout on both sides. */
#ifndef WIREPATH_TRACE_DROPS_RECORDS_H
#define WIREPATH_TRACE_DROPS_RECORDS_H

enum { WIREPATH_DROP_ROWS = 8192 };

/* The place and the reason of an skb that was thrown away. */
struct drop_key {
    unsigned long long location; /* the address in the kernel that threw it away */
    unsigned int reason;         /* enum skb_drop_reason */
    unsigned int netns;          /* inode number of the network namespace; 0: the skb no longer says */
    unsigned int ifindex;        /* 0: the skb no longer says */
    unsigned int protocol;       /* ethertype, host order; 0: none yet */
};

enum xdp_loss {
    XDP_LOSS_EXCEPTION, /* code: the action that could not be done, XDP_ABORTED among them */
    XDP_LOSS_REDIRECT,  /* code: the errno of a redirect that failed */
    XDP_LOSS_DEVMAP,    /* frames that the other interface did not take; code: its errno */
};

struct xdp_key {
    unsigned int kind;
    int code;
    unsigned int ifindex; /* received on */
    unsigned int netns;
};

/* One descriptor of one process that is a socket. */
struct socket_record {
    unsigned long long inode; /* what /proc/PID/fd shows: socket:[inode] */
    unsigned int netns;
    int pid;
    unsigned int fd;
    unsigned int family, type, protocol, state;
    unsigned int drops;
    int rcvbuf, rmem;
    unsigned int queued;
    int ifindex; /* bound to; 0: any */
    unsigned int local_port, remote_port;
    unsigned char local[16], remote[16]; /* IPv4 in the first four bytes */
    unsigned int filtered;               /* has a socket filter */
    /* AF_PACKET */
    unsigned int tp_drops; /* since its owner last read them */
    unsigned int tp_version, block_size, block_nr, frame_size, frame_nr;
    unsigned int fanout_id, fanout_type, fanout_members; /* members 0: no fanout */
    /* AF_XDP */
    unsigned int queue, zero_copy, rx_entries, fill_entries;
    unsigned long long rx_dropped, rx_ring_full, rx_invalid_descs, fill_ring_empty;
    char comm[16];
};

#endif
