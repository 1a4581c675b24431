# SPDX-License-Identifier: Apache-2.0
"""What became of every packet. The same meaning in every engine: docs/stats.md."""

from dataclasses import dataclass, fields

__all__ = ["Stats"]


@dataclass(frozen=True)
class Stats:
    """Counters of one capture since it started: cumulative, never reset by reading. None: cannot be known.

    Packets, unless the name says another unit.
    """

    received: int | None = None
    """Delivered to the program."""
    received_bytes: int | None = None
    """Bytes of those that were delivered (the sum of caplen)."""
    filtered: int | None = None
    """Rejected by the filter. None where the kernel rejects: it does not count them."""
    dropped_nic: int | None = None
    """The NIC had no room for them."""
    dropped_link: int | None = None
    """The driver or the link refused them before the network stack saw them."""
    dropped_backlog: int | None = None
    """A CPU's input queue had no room for them (netdev_max_backlog)."""
    dropped_ring: int | None = None
    """The capture's own ring or buffer had no room for them."""
    dropped_fill: int | None = None
    """They found no free frame in an AF_XDP fill ring."""
    ring_freezes: int | None = None
    """Times that the kernel found the whole ring full and stopped filling it."""
    copied: int | None = None
    """Payloads that the core itself copied in user space."""
    copied_bytes: int | None = None
    """Bytes of those copies."""
    waits: int | None = None
    """Times that the receiving thread asked the kernel to wait."""

    @property
    def dropped(self) -> int:
        """The sum of the losses that are known: a lower bound where one of them is None."""
        return sum(value or 0 for name, value in self.items() if name.startswith("dropped_"))

    def items(self) -> list[tuple[str, int | None]]:
        """(name, value) of each counter, in the order of a packet's journey."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]
