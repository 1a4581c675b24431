# SPDX-License-Identifier: Apache-2.0
"""What became of every packet."""

from __future__ import annotations

from dataclasses import dataclass

import wirepath as wp
from wirepath.bench.lab import Sent


@dataclass(frozen=True)
class Account:
    """Each term from a counter of its own; `unexplained` is what they leave."""

    sent: int
    received: int
    lost: dict[str, int]

    @property
    def unexplained(self) -> int:
        return self.sent - self.received - sum(self.lost.values())


def account(sent: Sent, stats: wp.Stats) -> Account:
    """The link's losses are counted at the side that sends to it: only the lab sees them."""
    lost = {name: value or 0 for name, value in stats.items() if name in ("filtered", "dropped_ring", "dropped_fill")}
    lost |= {"dropped_link": sent.dropped_link, "dropped_backlog": sent.dropped_backlog}
    return Account(sent.sent, stats.received or 0, lost)
