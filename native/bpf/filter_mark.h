/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREPATH_BPF_FILTER_MARK_H
#define WIREPATH_BPF_FILTER_MARK_H

/* The number that a program says instead of calling the filter. */
#define WIREPATH_FILTER_MARK 1465930310

#endif
