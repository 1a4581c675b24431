# SPDX-License-Identifier: Apache-2.0
"""What each CPU's receive softirq has done, and its limits (/proc/net/softnet_stat, /proc/sys/net/core)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from wirepath.linux.sysfs import number_in

__all__ = ["SoftnetCpu", "SoftnetLimits", "read_softnet", "read_softnet_limits", "softnet"]

_PROCESSED, _DROPPED, _SQUEEZED, _RPS, _FLOW_LIMIT, _BACKLOG, _CPU, _INPUT, _PROCESS = 0, 1, 2, 9, 10, 11, 12, 13, 14


@dataclass(frozen=True)
class SoftnetCpu:
    """One line of /proc/net/softnet_stat: all interfaces of all namespaces. Cumulative since boot; wraps at 32 bits."""

    cpu: int
    processed: int
    """Packets that came out of this CPU's polls and backlog."""
    dropped: int
    """Packets that the backlog had no room for (netdev_max_backlog)."""
    time_squeeze: int
    """Times that a softirq ended with work left over: its budget or its time was used up."""
    received_rps: int
    """Times that another CPU woke this one by RPS."""
    flow_limit: int | None
    """Packets that the flow limit dropped."""
    backlog: int | None
    """Packets that wait in the backlog now."""


@dataclass(frozen=True)
class SoftnetLimits:
    """Limits of the whole host. None: not to be read in this namespace."""

    netdev_budget: int | None
    """Packets that one receive softirq takes."""
    netdev_budget_usecs: int | None
    """Time that it takes."""
    dev_weight: int | None
    """Packets that one poll takes of a backlog; a driver's NAPI has its own weight, 64 as a rule."""
    netdev_max_backlog: int | None
    """Packets in a CPU's backlog."""
    busy_poll: int | None
    """Microseconds that poll and select spin for; 0: they do not."""
    busy_read: int | None
    """Microseconds that a read of a socket spins for."""
    rps_sock_flow_entries: int | None
    """RFS: flows that the host remembers the CPU of; 0: RFS is off."""


def softnet(text: str) -> list[SoftnetCpu]:
    """/proc/net/softnet_stat. Which columns there are depends on the kernel.

    9: before 2.6.36; 10: received_rps; 11: flow_limit, 3.11; 13: backlog and the CPU's number, 5.10; 15: the backlog's
    two queues apart, 6.6. Where lines do not name their CPU they are counted, which is right while all are online.
    """
    return [_cpu(place, [int(word, 16) for word in line.split()]) for place, line in enumerate(text.splitlines())]


def _cpu(place: int, columns: list[int]) -> SoftnetCpu:
    def column(which: int) -> int | None:
        return columns[which] if which < len(columns) else None

    number = column(_CPU)
    return SoftnetCpu(
        cpu=place if number is None else number,
        processed=columns[_PROCESSED],
        dropped=columns[_DROPPED],
        time_squeeze=columns[_SQUEEZED],
        received_rps=column(_RPS) or 0,
        flow_limit=column(_FLOW_LIMIT),
        backlog=column(_BACKLOG),
    )


def read_softnet() -> tuple[SoftnetCpu, ...]:
    """Each CPU that is online. Raises OSError."""
    return tuple(softnet(Path("/proc/net/softnet_stat").read_text(encoding="ascii")))


def read_softnet_limits() -> SoftnetLimits:
    """The limits."""
    core = Path("/proc/sys/net/core")
    return SoftnetLimits(**{field.name: number_in(core / field.name) for field in fields(SoftnetLimits)})
