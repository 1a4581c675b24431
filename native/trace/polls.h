/* SPDX-License-Identifier: Apache-2.0 */
/* What polls.bpf.c counts on each CPU. Included by the kernel's half and the user's. */
#ifndef WIREPATH_TRACE_POLLS_H
#define WIREPATH_TRACE_POLLS_H

struct poll_counts {
    unsigned long long polls;
    unsigned long long packets; /* that they received */
    unsigned long long empty;   /* polls that received none: those that only looked after sent packets, too */
    unsigned long long full;    /* polls that used up their budget */
};

#endif
