# SPDX-License-Identifier: Apache-2.0
"""What a capture is made of: where its packets come from, and what the kernel granted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Frames", "Granted", "Interface", "Observed", "Process", "SourceInfo"]


@dataclass(frozen=True)
class Interface:
    """A network interface, or one that a file describes; ``batch.interface`` indexes ``capture.interfaces``."""

    name: str
    description: str
    ifindex: int
    """0: not an interface of this host."""
    linktype: int
    """A LINKTYPE_ number (https://www.tcpdump.org/linktypes.html)."""
    snaplen: int
    """Bytes; 0: no limit."""
    clock: str
    """``host``, ``adapter`` or ``adapter_unsynced``: what took the timestamps."""
    filter: str
    os: str
    hardware: str
    speed_bps: int
    """0: unknown."""
    mac: bytes
    """Empty: unknown."""


@dataclass(frozen=True)
class Granted:
    """One thing that was asked of the kernel or the device, and what it granted."""

    name: str
    asked: str
    granted: str


@dataclass(frozen=True)
class Frames:
    """Where the frames are that a source shares with the kernel or the NIC: ``with_kernel + leased == total``."""

    total: int
    with_kernel: int
    """Given to it, and not taken back with a packet: free, in the driver or the NIC, or waiting to be received."""
    leased: int
    """Held by batches and views of their payload, or let go of since the last receive()."""


@dataclass(frozen=True)
class Observed:
    """What a capture measured of its effect on the host, before it began and while it runs, or its driver counted."""

    interface: int
    """Index into ``capture.interfaces``."""
    name: str
    """``interrupts_a_packet``, ``packets_a_poll``, …; ``effect`` has no figure, and sums up in words."""
    before: float | None
    """None: not known."""
    during: float | None
    detail: str
    """Over what time it was counted, or why it is not known."""


@dataclass(frozen=True)
class Process:
    """A process that made sockets, as a capture knows it (engine `ebpf`, option `process`)."""

    pid: int
    """As the process namespace of the capture numbers it."""
    command: str
    """As in /proc/PID/comm, when it last made a socket."""
    cgroup: str | None
    """Its path in the hierarchy of cgroup v2; None: it is gone, or not for us to see."""
    cgroup_id: int
    netns: tuple[int, ...]
    """The network namespaces of its sockets, by inode number, as in /proc/PID/ns/net."""

    @classmethod
    def from_core(cls, rows: Sequence[tuple[int, str, str, int, int]]) -> "dict[int, Process]":
        """By process id; the core has a row for each process and namespace."""
        found: dict[int, Process] = {}
        for pid, command, cgroup, cgroup_id, netns in rows:
            before = found[pid].netns if pid in found else ()
            found[pid] = cls(pid, command, cgroup or None, cgroup_id, tuple(sorted({*before, netns})))
        return found


@dataclass(frozen=True)
class SourceInfo:
    """One receive queue or worker of a capture."""

    engine: str
    mode: str
    """What was granted, in a few words."""
    granted: tuple[Granted, ...]
    interface: int
    """Index into ``capture.interfaces``."""
    queue: int
    takes_packets: bool
    """What it captures does not reach this host's network stack."""
    notes: tuple[str, ...]
    """What the user should know."""
    filtered_by: str
    """Where the filter runs: ``none``, ``nic``, ``xdp``, ``kernel`` or ``pipeline``."""
    fd: int
    """Readable when there is something to receive; -1: none."""

    @classmethod
    def from_core(cls, source: Mapping[str, Any]) -> "SourceInfo":
        """From the core's description."""
        return cls(
            **{
                **source,
                "granted": tuple(Granted(*item) for item in source["granted"]),
                "notes": tuple(source["notes"]),
            }
        )
