# SPDX-License-Identifier: Apache-2.0
"""Which CPUs the kernel moves packets to after the NIC has chosen a queue: RPS, RFS, XPS (sysfs)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wirepath.linux.sysfs import cpus_in_mask, number_in, text_in

__all__ = ["QueueSteering", "read_steering"]


@dataclass(frozen=True)
class QueueSteering:
    """One queue."""

    type: str
    """``rx`` or ``tx``."""
    queue: int
    cpus: tuple[int, ...] | None
    """Of rx (RPS): CPUs that packets go on to; empty: the CPU that polled. Of tx (XPS): CPUs that use the queue.

    None: this kernel or driver has no such setting.
    """
    flow_entries: int | None
    """Of rx (RFS): flows of which the queue remembers the CPU; 0: off."""


def read_steering(sysfs: Path) -> tuple[QueueSteering, ...]:
    """Each queue, receive queues first. Raises OSError."""
    found = []
    for directory in (sysfs / "queues").iterdir():
        named = re.fullmatch(r"(rx|tx)-(\d+)", directory.name)
        if named is not None:
            found.append(_steering(directory, named[1], int(named[2])))
    return tuple(sorted(found, key=lambda row: (row.type, row.queue)))


def _steering(directory: Path, kind: str, queue: int) -> QueueSteering:
    mask = text_in(directory / ("rps_cpus" if kind == "rx" else "xps_cpus"))
    return QueueSteering(
        kind,
        queue,
        cpus_in_mask(mask) if mask else None,
        number_in(directory / "rps_flow_cnt") if kind == "rx" else None,
    )
