# SPDX-License-Identifier: Apache-2.0
"""What tc dropped where packets come in: the clsact or ingress qdisc, and the actions of its filters (rtnetlink)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wirepath.linux.netlink import Attributes, attributes, listed
from wirepath.nic.kernel import Kernel
from wirepath.path.counters.counter import Counter

__all__ = ["read_tc_losses"]

_GETQDISC, _GETTFILTER = 38, 46
_TCMSG = struct.Struct("=BxxxiIII")
_INGRESS_QDISC, _INGRESS = 0xFFFFFFF1, 0xFFFFFFF2
_KIND, _OPTIONS, _STATS2 = 1, 2, 7
_QUEUE_STATS = 3  # struct gnet_stats_queue: qlen, backlog, drops, requeues, overlimits
_ACTIONS_OF = {"bpf": 1, "u32": 7, "flower": 3, "matchall": 2, "basic": 3, "fw": 4}
_ACT_KIND, _ACT_STATS = 1, 4


def read_tc_losses(kernel: Kernel, name: str, ifindex: int) -> list[Counter]:
    """Of one interface; nothing where it has no such qdisc. Raises OSError."""
    found = []
    for answer in kernel.route.dump(_GETQDISC, _TCMSG.pack(0, ifindex, 0, 0, 0)):
        _, index, _, parent, _ = _TCMSG.unpack_from(answer)
        told = attributes(answer[_TCMSG.size :])
        drops = _drops(told.nest(_STATS2))
        if index == ifindex and parent == _INGRESS_QDISC and drops is not None:
            kind = told.text(_KIND) or "ingress"
            found.append(Counter("tc.dropped", kind, name, drops, f"tc -s qdisc show dev {name}", number=ifindex))
    return [*found, *_of_actions(kernel, name, ifindex)] if found else []


def _of_actions(kernel: Kernel, name: str, ifindex: int) -> Iterator[Counter]:
    """Only actions that have dropped something: the others say nothing that the qdisc does not."""
    for answer in kernel.route.dump(_GETTFILTER, _TCMSG.pack(0, ifindex, 0, _INGRESS, 0)):
        _, _, handle, _, info = _TCMSG.unpack_from(answer)
        told = attributes(answer[_TCMSG.size :])
        kind = told.text(_KIND) or ""
        for number, (_, action) in enumerate(listed(told.nest(_OPTIONS).get(_ACTIONS_OF.get(kind, -1), b"")), 1):
            details = attributes(action)
            drops = _drops(details.nest(_ACT_STATS))
            if drops:
                label = f"{kind} pref {info >> 16} handle {handle:#x} action {number} {details.text(_ACT_KIND)}"
                source = f"tc -s filter show dev {name} ingress"
                yield Counter("tc.action", label, name, drops, source, number=ifindex)


def _drops(stats: Attributes) -> int | None:
    queue = stats.get(_QUEUE_STATS, b"")
    return struct.unpack_from("=I", queue, 8)[0] if len(queue) >= 12 else None
