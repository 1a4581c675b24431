/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every socket that a process has open, with what it lost: what netlink's diagnostics tell, and what they do not (the
 * drops of a TPACKET ring, AF_XDP where its diagnostics were left out of the kernel). Nothing is cleared by reading. */
#include "bpf/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace/drops/records.h"

char _license[] SEC("license") = "Dual BSD/GPL";

enum { AF_INET = 2, AF_INET6 = 10, AF_PACKET = 17, AF_XDP = 44, PAGE_SHIFT = 12 };

static __always_inline void describe_packet(struct socket_record* to, struct sock* sk) {
    struct packet_sock* po = (void*)sk;
    struct packet_fanout* fanout = BPF_CORE_READ(po, fanout);
    to->ifindex = BPF_CORE_READ(po, ifindex);
    to->protocol = bpf_ntohs(BPF_CORE_READ(po, num));
    to->tp_drops = (__u32)BPF_CORE_READ(po, tp_drops.counter);
    if (BPF_CORE_READ(po, rx_ring.pg_vec)) {
        to->tp_version = BPF_CORE_READ(po, tp_version) + 1;
        to->block_size = BPF_CORE_READ(po, rx_ring.pg_vec_pages) << PAGE_SHIFT;
        to->block_nr = BPF_CORE_READ(po, rx_ring.pg_vec_len);
        to->frame_size = BPF_CORE_READ(po, rx_ring.frame_size);
        to->frame_nr = BPF_CORE_READ(po, rx_ring.frame_max) + 1;
    }
    if (fanout) {
        to->fanout_id = BPF_CORE_READ(fanout, id);
        to->fanout_type = BPF_CORE_READ(fanout, type);
        to->fanout_members = BPF_CORE_READ(fanout, num_members);
    }
}

static __always_inline void describe_xdp(struct socket_record* to, struct sock* sk) {
    struct xdp_sock* xs = (void*)sk;
    struct xsk_queue* rx = BPF_CORE_READ(xs, rx);
    struct xsk_queue* fill = BPF_CORE_READ(xs, pool, fq);
    to->ifindex = BPF_CORE_READ(xs, dev, ifindex);
    to->queue = BPF_CORE_READ(xs, queue_id);
    to->zero_copy = BPF_CORE_READ(xs, zc);
    to->rx_dropped = BPF_CORE_READ(xs, rx_dropped);
    to->rx_ring_full = BPF_CORE_READ(xs, rx_queue_full);
    if (rx) {
        to->rx_entries = BPF_CORE_READ(rx, nentries);
        to->rx_invalid_descs = BPF_CORE_READ(rx, invalid_descs);
    }
    if (fill) {
        to->fill_entries = BPF_CORE_READ(fill, nentries);
        to->fill_ring_empty = BPF_CORE_READ(fill, queue_empty_descs);
    }
}

static __always_inline void describe_inet(struct socket_record* to, struct sock* sk) {
    to->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    to->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    if (to->family == AF_INET) {
        BPF_CORE_READ_INTO((__be32*)to->local, sk, __sk_common.skc_rcv_saddr);
        BPF_CORE_READ_INTO((__be32*)to->remote, sk, __sk_common.skc_daddr);
    } else {
        BPF_CORE_READ_INTO((struct in6_addr*)to->local, sk, __sk_common.skc_v6_rcv_saddr);
        BPF_CORE_READ_INTO((struct in6_addr*)to->remote, sk, __sk_common.skc_v6_daddr);
    }
}

static __always_inline __u32 drops_of(struct sock* sk) {
    __u32 found = (__u32)BPF_CORE_READ(sk, sk_drops.counter);
    if (bpf_core_field_exists(sk->sk_drop_counters)) {
        struct numa_drop_counters* halves = BPF_CORE_READ(sk, sk_drop_counters);
        if (halves)
            found += (__u32)(BPF_CORE_READ(halves, drops0.counter) + BPF_CORE_READ(halves, drops1.counter));
    }
    return found;
}

SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file* ctx) {
    struct task_struct* task = ctx->task;
    struct file* file = ctx->file;
    if (!task || !file)
        return 0;
    struct socket* socket = bpf_sock_from_file(file);
    if (!socket)
        return 0;
    struct sock* sk = socket->sk;
    if (!sk)
        return 0;

    struct socket_record record = {};
    record.inode = file->f_inode->i_ino;
    record.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    record.pid = task->tgid;
    record.fd = ctx->fd;
    record.family = BPF_CORE_READ(sk, __sk_common.skc_family);
    record.state = BPF_CORE_READ(sk, __sk_common.skc_state);
    record.type = BPF_CORE_READ(sk, sk_type);
    record.protocol = BPF_CORE_READ(sk, sk_protocol);
    record.ifindex = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
    record.drops = drops_of(sk);
    record.rcvbuf = BPF_CORE_READ(sk, sk_rcvbuf);
    record.rmem = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
    record.queued = BPF_CORE_READ(sk, sk_receive_queue.qlen);
    record.filtered = BPF_CORE_READ(sk, sk_filter) != 0;
    bpf_probe_read_kernel_str(record.comm, sizeof record.comm, task->comm);
    if (record.family == AF_PACKET)
        describe_packet(&record, sk);
    else if (record.family == AF_XDP)
        describe_xdp(&record, sk);
    else if (record.family == AF_INET || record.family == AF_INET6)
        describe_inet(&record, sk);
    bpf_seq_write(ctx->meta->seq, &record, sizeof record);
    return 0;
}
