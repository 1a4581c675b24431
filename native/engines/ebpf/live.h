/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* What the BPF programs that send and the sender share: the frames of a run, and what became of them. Only the thread
 * that sends, and programs that it runs, write here. */
#ifndef WIREPATH_EBPF_LIVE_H
#define WIREPATH_EBPF_LIVE_H

enum {
    live_bulk = 16,         /* frames that the kernel gives to a driver at a time (DEV_MAP_BULK_SIZE) */
    live_most_bytes = 3360, /* of a frame: what older kernels, too, leave of a page of 4096 bytes */
};

/* Its bytes follow, as many as the map's values have room for. */
struct live_frame {
    unsigned int length;
    unsigned int unused;
};

struct live_run {
    unsigned int count;  /* frames to send; no program sends anything while it is 0 */
    unsigned int handed; /* of those, from the first one: redirected to the interface */
    /* What became of the frames handed over, in their order: all that were sent come before one that was not. */
    unsigned int sent;    /* the driver took them */
    unsigned int dropped; /* it did not */
    unsigned int refused; /* never came to the driver */
    unsigned int stopped; /* after dropped, refused or error: what follows is not to overtake */
    int error;            /* an errno, as far as a reason was given */
    unsigned int given;   /* bytes that each live frame has at first: of the longest one */
    unsigned int cpu;     /* on which the last one was handed over */
};

#endif
