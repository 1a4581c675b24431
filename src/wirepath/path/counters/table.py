# SPDX-License-Identifier: Apache-2.0
"""What each counter means and what helps: the table that the ledger, the path and the documentation read.

The meanings are those of the kernel's Documentation/networking/statistics.rst, snmp_counter.rst and of the code that
counts.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["STAGES", "TABLE", "Loss"]

STAGES = {
    "nic": "NIC",
    "driver": "driver",
    "backlog": "CPU backlog (softnet)",
    "xdp": "XDP",
    "tc": "tc",
    "netfilter": "netfilter",
    "protocol": "protocol",
    "socket": "socket",
    "ring": "capture",
}
"""The stages that lose packets, in the order in which a packet comes to them."""


class Loss(NamedTuple):
    """A row: one kind of loss."""

    meaning: str
    remedy: str
    again: str = ""
    """The row that has counted this loss already, in whole or in part: never add the two."""
    loses: bool = True
    """False: no packet was lost by this itself; it is a sign that some are about to be."""
    bits: int = 64
    cleared: bool = False
    """Who owns it clears it when reading: what is seen is a lower bound."""
    tap: bool = False
    """A capture missed the packet, which itself went on."""


_MORE_RING = "Enlarge the ring (ethtool -G IFACE rx N), use more queues (ethtool -L) and CPUs (RSS, IRQ affinity)."
_CABLE = "Look at cable, transceiver, switch port and duplex; ethtool -S IFACE has more."
_UNCLEAR = "the driver counts it under this name; only its source says what it means"
_DELIBERATE = "Somebody wants it so."
_FASTER_READER = "Make the program read faster, or enlarge its buffer (SO_RCVBUF; net.core.rmem_max bounds it)."
_HOSTILE = "Broken or forged packets: look where they come from with a capture."

TABLE: dict[str, Loss] = {
    # --- NIC
    "nic.missed": Loss("the NIC had no free descriptor to write the packet to: the host was too slow", _MORE_RING),
    "nic.fifo": Loss("the NIC's own buffer overflowed: the bus or the host was too slow", _MORE_RING),
    "nic.over": Loss(
        "the packet was larger than the receive buffer, or the NIC overran", "Compare the MTU of both ends."
    ),
    "nic.crc": Loss("the checksum of the frame was wrong when it arrived", _CABLE),
    "nic.length": Loss("the frame's length was impossible", "Compare the MTU of both ends. " + _CABLE),
    "nic.frame": Loss("the frame was not aligned", _CABLE),
    "nic.errors": Loss("frames received in error, of all kinds", "See the lines of each kind.", again="nic.crc"),
    "nic.no_buffer": Loss(
        "the NIC waited for a free descriptor; the packet is lost only if rx_missed_errors counts it, too",
        _MORE_RING,
        loses=False,
    ),
    "nic.policy": Loss(
        "a limit or filter of the device itself, or of the cloud, refused it", "See the device's manual."
    ),
    "nic.queue": Loss("a part of another of this NIC's counters: one queue's", "As for the whole.", again="nic.fifo"),
    "nic.other": Loss(_UNCLEAR, "See the driver."),
    # --- driver
    "driver.dropped": Loss(
        "the driver, or the stack before any protocol, threw it away: no room in a CPU's backlog, or a protocol that "
        "nobody here speaks",
        "See the backlog's line and the drop reasons (UNHANDLED_PROTO is harmless).",
        again="backlog.dropped",
    ),
    "driver.nohandler": Loss("it came to a port of a bond or team that is not active", "Harmless in active-backup."),
    "driver.alloc": Loss(
        "the driver found no memory for a receive buffer", "Look at free memory and vm.min_free_kbytes."
    ),
    "driver.queue": Loss("the driver threw it away before the stack saw it", "See the driver; enlarge the ring."),
    "driver.part": Loss(
        "a part of another of this driver's counters: one queue's", "As for the whole.", again="driver.queue"
    ),
    "driver.other": Loss(_UNCLEAR, "See the driver."),
    # --- softnet
    "backlog.dropped": Loss(
        "the input queue of this CPU was full (netdev_max_backlog)",
        "Raise net.core.netdev_max_backlog; spread the load with RPS; a veth with GRO on polls instead.",
        bits=32,
    ),
    "backlog.flow_limit": Loss(
        "one flow filled more than its share of a CPU's backlog",
        "Turn it off for this CPU (net.core.flow_limit_cpu_bitmap) or enlarge the backlog.",
        again="backlog.dropped",
        bits=32,
    ),
    "backlog.squeezed": Loss(
        "times that a CPU's receive softirq stopped with work left: its budget or time was used up",
        "Raise net.core.netdev_budget and netdev_budget_usecs, or spread the load over more CPUs.",
        loses=False,
        bits=32,
    ),
    # --- XDP
    "xdp.dropped": Loss("an XDP program said XDP_DROP", _DELIBERATE + " bpftool net shows the program."),
    "xdp.aborted": Loss("an XDP program failed, or said something that the kernel does not know", "Mend the program."),
    "xdp.transmit": Loss("a frame that XDP sent back or on found no room", "See the interface that it goes to."),
    "xdp.redirect": Loss(
        "a redirect by XDP failed: no such target, or no room there",
        "An AF_XDP queue without a socket, a full CPU map, or an interface that is down.",
    ),
    "xdp.queue": Loss("a part of another XDP counter: one queue's", "As for the whole.", again="xdp.dropped"),
    # --- tc
    "tc.dropped": Loss(
        "a filter at the interface's clsact or ingress qdisc said drop (clsact: at both its sides)",
        _DELIBERATE + " tc -s filter show dev IFACE ingress shows which.",
        bits=32,
    ),
    "tc.action": Loss("this action of a filter dropped it", _DELIBERATE, again="tc.dropped", bits=32),
    # --- netfilter
    "netfilter.rule": Loss("this rule said drop or reject", _DELIBERATE + " Change the rule if not."),
    "netfilter.policy": Loss("no rule took it, and the chain's policy is drop", _DELIBERATE + " Add a rule if not."),
    "netfilter.conntrack_drop": Loss(
        "connection tracking had no room or refused it", "Raise net.netfilter.nf_conntrack_max.", bits=32
    ),
    "netfilter.conntrack_evicted": Loss(
        "the table was full: a connection that nobody had answered was forgotten to make room for a new one",
        "Raise net.netfilter.nf_conntrack_max.",
        loses=False,
        bits=32,
    ),
    "netfilter.conntrack_insert": Loss(
        "two packets of one new connection raced, and the second was thrown away where it could not join the first",
        "Harmless if rare.",
        again="netfilter.conntrack_drop",
        bits=32,
    ),
    "netfilter.queue": Loss(
        "a user-space queue (NFQUEUE) was full, or its program gone",
        "Make its program faster, or set the rule's bypass.",
        bits=32,
    ),
    # --- IP
    "protocol.ip_header": Loss("the IP header was broken", _HOSTILE),
    "protocol.ip_address": Loss(
        "it was for an address that is not ours, and this host does not forward", "See routes."
    ),
    "protocol.ip_noroute": Loss("there was no route for it", "ip route get ADDRESS from SOURCE iif IFACE says more."),
    "protocol.ip_too_big": Loss(
        "it was to be forwarded, is larger than the MTU of the way on, and may not be cut",
        "Compare the MTU of the interfaces; a firewall must let ICMP's packet-too-big through.",
    ),
    "protocol.ip_proto": Loss("no one here speaks the protocol inside IP", "Harmless, or a protocol is not loaded."),
    "protocol.ip_discard": Loss(
        "the IP layer had no memory, or a filter of its own refused it", "See the drop reasons."
    ),
    "protocol.ip_truncated": Loss("the packet was shorter than its header says", _HOSTILE),
    "protocol.ip_rpfilter": Loss(
        "its source would be answered over another interface (rp_filter)",
        "Set net.ipv4.conf.IFACE.rp_filter to 2 or 0 if routes are asymmetric on purpose.",
    ),
    "protocol.ip_reassembly": Loss(
        "fragments of a packet did not all come in time, or had no room",
        "Avoid fragments (MTU), or raise net.ipv4.ipfrag_high_thresh.",
    ),
    "protocol.icmp_error": Loss("a broken ICMP message", _HOSTILE),
    "protocol.icmp_locked": Loss(
        "an ICMP error came for a TCP socket that was in use at that moment", "Harmless: the next one is heard."
    ),
    # --- UDP
    "protocol.udp_buffer": Loss(
        "a UDP socket's receive buffer was full",
        _FASTER_READER + " The socket's line says whose.",
        again="protocol.udp_errors",
    ),
    "protocol.udp_errors": Loss(
        "UDP packets that no program got, of all kinds but NoPorts", "See the other lines.", again="socket.drops"
    ),
    "protocol.udp_noport": Loss("nobody listens at that UDP port", "Start the program, or look who sends."),
    "protocol.udp_checksum": Loss("a UDP checksum was wrong", _CABLE, again="protocol.udp_errors"),
    "protocol.udp_memory": Loss(
        "all UDP sockets together use too much memory", "Raise net.ipv4.udp_mem.", again="protocol.udp_errors"
    ),
    # --- TCP
    "protocol.tcp_error": Loss("a broken TCP segment", _HOSTILE),
    "protocol.tcp_checksum": Loss("a TCP checksum was wrong", _CABLE, again="protocol.tcp_error"),
    "protocol.tcp_listen_overflow": Loss(
        "a listening socket's queue of finished connections was full",
        "Make the program accept faster, or raise its backlog and net.core.somaxconn.",
        again="protocol.tcp_listen",
    ),
    "protocol.tcp_listen": Loss(
        "a listening socket could not take a connection", "See the overflow line; else memory.", again="socket.drops"
    ),
    "protocol.tcp_request_full": Loss(
        "a listening socket's queue of half-open connections was full",
        "A flood of SYNs, or raise net.ipv4.tcp_max_syn_backlog.",
        again="protocol.tcp_listen",
    ),
    "protocol.tcp_backlog": Loss(
        "the socket was in use by its program and its backlog full", _FASTER_READER, again="socket.drops"
    ),
    "protocol.tcp_buffer": Loss(
        "a TCP socket's receive buffer was full", _FASTER_READER + " The peer will send it again.", again="socket.drops"
    ),
    "protocol.tcp_pruned": Loss(
        "out-of-order segments were given up for want of room; they will be sent again",
        "Raise net.ipv4.tcp_rmem.",
        again="socket.drops",
    ),
    "protocol.tcp_prune_calls": Loss(
        "times that a full receive buffer was packed", "Raise net.ipv4.tcp_rmem.", loses=False
    ),
    "protocol.tcp_zero_window": Loss(
        "it came while the receive window was closed", _FASTER_READER, again="socket.drops"
    ),
    "protocol.tcp_memory": Loss("TCP was short of memory", "Raise net.ipv4.tcp_mem.", again="socket.drops"),
    "protocol.tcp_other": Loss(
        "TCP refused the segment for the reason in its name", "See tcp(7) and ip-sysctl.", again="socket.drops"
    ),
    # --- sockets
    "socket.drops": Loss("this socket's receive buffer had no room, or it refused the packet", _FASTER_READER, bits=32),
    "ring.tpacket": Loss(
        "the capture's ring or buffer was full; what its program reads of this counter is no longer in it",
        "Enlarge the ring (block_nr, -B), filter more, write to a faster disk, use fanout.",
        bits=32,
        cleared=True,
        tap=True,
    ),
    "ring.xdp_rx": Loss("the program did not empty its AF_XDP receive ring in time", "Enlarge rx_ring; read faster."),
    "ring.xdp_dropped": Loss(
        "no free frame was in the fill ring, or the packet was larger than a frame",
        "More frames, a larger fill ring; give frames back sooner.",
    ),
    "ring.xdp_invalid": Loss("a descriptor of the program was wrong", "A bug in the program."),
    "ring.xdp_fill_empty": Loss(
        "times that the fill ring was found empty", "As for rx_dropped.", again="ring.xdp_dropped", loses=False
    ),
}
