# SPDX-License-Identifier: Apache-2.0
"""What became of every packet that was sent."""

from __future__ import annotations

from dataclasses import dataclass

from wirepath.bench.lab import Sent
from wirepath.stats import Stats

# What an engine counts itself. The link's losses are counted at its sending side, where only the lab can read them.
_BY_ENGINE = ("filtered", "dropped_nic", "dropped_ring", "dropped_fill")


@dataclass(frozen=True)
class Account:
    """Each term is read from a counter of its own. Packets."""

    sent: int
    received: int
    lost: dict[str, int]  # where, as in Stats

    @property
    def unexplained(self) -> int:
        """What the terms leave: nothing, if each is true."""
        return self.sent - self.received - sum(self.lost.values())

    @property
    def losses(self) -> str:
        """Where how many were lost, in words."""
        some = [f"{count} {place.removeprefix('dropped_')}" for place, count in self.lost.items() if count]
        return ", ".join(some) or "0"


def account(sent: Sent, stats: Stats) -> Account:
    """The account of one capture in a lab. A counter that cannot be known counts as 0, and shows in `unexplained`."""
    lost = {name: value or 0 for name, value in stats.items() if name in _BY_ENGINE}
    lost |= {"dropped_link": sent.dropped_link, "dropped_backlog": sent.dropped_backlog}
    if stats.dropped_nic is None:  # a capture cannot read it in another namespace
        lost["dropped_nic"] = sent.dropped_nic
    return Account(sent.sent, stats.received or 0, lost)
