# SPDX-License-Identifier: Apache-2.0
"""One number that says how many packets were lost at one place, or that a loss is near."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wirepath.path.counters.table import TABLE, Loss

__all__ = ["Counter", "lost_by"]


_SOCKETS = "socket.drops"


@dataclass(frozen=True)
class Counter:
    """A counter as it stands now. It never goes down, unless its row in the table says so."""

    kind: str
    """Its row in the table of losses: ``nic.missed``, ``socket.drops``, …"""
    name: str
    """As whoever keeps it calls it: ``rx_missed_errors``."""
    of: str
    """Whose it is: ``eth0``, ``cpu 3``, ``udp 0.0.0.0:53, dnsmasq[812]``; empty: the namespace's."""
    value: int | None
    """Packets, or events where the table says so; None: nobody keeps it, and ``why`` says why."""
    source: str
    """Where it is read: a file, or a command that shows it."""
    why: str = ""
    number: int = 0
    """Tells apart what bears one name: a socket's inode, an interface's index; 0: the name is enough."""

    @property
    def loss(self) -> Loss:
        """What it means."""
        return TABLE[self.kind]

    @property
    def stage(self) -> str:
        """The stage of the path that keeps it."""
        return self.kind.partition(".")[0]

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells it from all others."""
        return self.kind, self.name, self.of, self.number

    def since(self, before: Counter | None) -> int | None:
        """What was added since it was read before; None: unknown. A counter that was not there began at 0.

        A counter below its last value has wrapped, or begun anew: as the owner of some does on reading, and a driver
        when it is reset. Then it is a lower bound.
        """
        if self.value is None or (before is not None and before.value is None):
            return None
        start = before.value if before is not None and before.value is not None else 0
        if self.value >= start:
            return self.value - start
        wrapped = (self.value - start) % (1 << self.loss.bits)
        return self.value if self.loss.cleared or wrapped >> (self.loss.bits - 1) else wrapped


def lost_by(moved: Iterable[tuple[str, int]]) -> int:
    """Packets lost, each counted once, of counters by their kinds.

    Sockets and protocols count the same losses. Sockets are gone when their programs end, and protocols do not see all
    sockets: the larger count of the two is nearer to the truth.
    """
    sockets = protocols = others = 0
    for kind, packets in moved:
        loss = TABLE[kind]
        if loss.tap or not loss.loses:
            continue
        if kind == _SOCKETS:
            sockets += packets
        elif loss.again == _SOCKETS:
            protocols += packets
        elif not loss.again:
            others += packets
    return others + max(sockets, protocols)
