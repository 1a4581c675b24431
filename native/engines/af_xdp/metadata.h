/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* What the XDP program leaves in front of each packet, for the engine. */
#ifndef WIREPATH_AF_XDP_METADATA_H
#define WIREPATH_AF_XDP_METADATA_H

struct packet_metadata {
    unsigned long long ts_tai_ns;
    unsigned short vlan_tci;
    unsigned short vlan_tpid; /* 0: no tag beside the bytes */
    unsigned int present;     /* 1; the engine clears it, so that no packet is taken for the one before it */
};

#endif
