# SPDX-License-Identifier: Apache-2.0
"""What each CPU's receive softirq lost or left over, for all interfaces of all namespaces."""

from __future__ import annotations

from wirepath.nic.softnet import read_softnet
from wirepath.path.counters.counter import Counter

__all__ = ["read_softnet_losses"]

_FILE = "/proc/net/softnet_stat"


def read_softnet_losses() -> list[Counter]:
    """Three counters a CPU. Raises OSError."""
    return [
        Counter(
            kind, name, f"cpu {row.cpu} of the host", value, _FILE, "" if value is not None else "not in this kernel"
        )
        for row in read_softnet()
        for kind, name, value in (
            ("backlog.dropped", "dropped", row.dropped),
            ("backlog.flow_limit", "flow_limit", row.flow_limit),
            ("backlog.squeezed", "time_squeeze", row.time_squeeze),
        )
    ]
