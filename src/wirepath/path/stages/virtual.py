# SPDX-License-Identifier: Apache-2.0
"""How packets come to interfaces that are no hardware: nothing interrupts for them, and few have their own poll."""

from __future__ import annotations

from typing import NamedTuple

from wirepath.nic import Link
from wirepath.path.stage import Context

__all__ = ["Arrival", "arrival_of"]


class Arrival(NamedTuple):
    """What stands in the place of NIC ring, interrupt, poll and sk_buff."""

    context: Context
    reads: str
    writes: str
    woken: str
    """Instead of an interrupt."""
    polled: str
    """Instead of a poll; empty: it has one, or goes through the CPU's backlog."""
    made: str
    """Who has made the sk_buff."""


_FROM_BELOW = Arrival(
    "softirq",
    "an sk_buff that an interface below it has received",
    "the same sk_buff as its own: nothing is copied",
    "none of its own: the softirq of the interface below goes on",
    "by nobody: it goes on in the poll of the interface below",
    "the interface below",
)
_TUNNEL = Arrival(
    "softirq",
    "a packet that this host has received, with another one in it",
    "the inner one, in the same sk_buff: outer headers are passed over, or decrypted in their place",
    "none of its own: who has received the outer packet raises the receive softirq",
    "",
    "the interface that received the outer packet",
)
_TUN = Arrival(
    "process",
    "what a program writes to its descriptor of /dev/net/tun",
    "an sk_buff with a copy of it",
    "none: the program's own system call carries the packet into the stack",
    "by nobody, unless the program asked for a poll (IFF_NAPI)",
    "the system call of the program that wrote the packet",
)
_LOOPBACK = Arrival(
    "process",
    "an sk_buff that this host sends to itself",
    "the same sk_buff into this CPU's backlog: nothing is copied",
    "none: the sending CPU raises the receive softirq for itself",
    "",
    "the sender",
)
_VETH = Arrival("process", "", "", "none: the sending CPU raises the receive softirq for itself", "", "the sender")
_OTHER = Arrival(
    "softirq",
    "an sk_buff that the kernel itself gave to it",
    "the same sk_buff: nothing is copied",
    "none of its own",
    "",
    "another part of the kernel",
)
_KINDS = {
    _FROM_BELOW: "bridge bond team vlan macvlan macvtap ipvlan ipvtap vrf hsr",
    _TUNNEL: "vxlan geneve bareudp gre gretap ip6gre ip6gretap erspan ip6erspan ipip sit ip6tnl vti vti6 xfrm gtp "
    "wireguard macsec",
    _TUN: "tun",
    _VETH: "veth netkit",
}
_BY_KIND = {kind: arrival for arrival, kinds in _KINDS.items() for kind in kinds.split()}


def arrival_of(link: Link) -> Arrival | None:
    """How its packets come; None: from hardware."""
    if link.physical:
        return None
    return _LOOPBACK if link.hardware == "loopback" else _BY_KIND.get(link.kind, _OTHER)
