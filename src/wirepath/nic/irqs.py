# SPDX-License-Identifier: Apache-2.0
"""The NIC's interrupts: how many came on which CPU, and where they may go (/proc/interrupts, /proc/irq, sysfs)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wirepath.linux.sysfs import number_in, text_in
from wirepath.nic.driver import pci_directory

__all__ = ["InterruptLine", "Irq", "interrupts", "named_for_queue", "read_irqs"]

_DETAIL = re.compile(r"^(?P<chip>\S+)\s+(?:\d+-|\d+\s+)(?P<trigger>\w+)\s+(?P<actions>.*)$")


_QUEUE = re.compile(r"(?:^|[-_.@])(?:rx|txrx|input|fp|comp|queue)?[-_.]?(?P<queue>\d+)(?:$|@)", re.IGNORECASE)

_SENDING = re.compile(r"(?<![a-z])(tx|output|config|event|other)(?!rx)", re.IGNORECASE)


@dataclass(frozen=True)
class InterruptLine:
    """A numbered line of /proc/interrupts."""

    number: int
    counts: dict[int, int]
    """By CPU; only CPUs that are online are there."""
    chip: str
    actions: str
    """Who has asked for it: names with commas between."""


@dataclass(frozen=True)
class Irq:
    """One interrupt of the NIC."""

    number: int
    name: str
    """As the driver calls it: ``eth0-rx-0``, ``virtio2-input.0``."""
    chip: str
    counts: dict[int, int]
    """Since boot, by CPU."""
    affinity: str | None
    """CPUs that it may go to, as a list: ``0-3``."""
    effective: str | None
    """The CPU that it goes to."""

    @property
    def total(self) -> int:
        """Since boot, on all CPUs."""
        return sum(self.counts.values())


def interrupts(text: str) -> list[InterruptLine]:
    """/proc/interrupts, its numbered lines. The first line of the text names the CPUs."""
    header, _, body = text.partition("\n")
    cpus = [int(word.removeprefix("CPU")) for word in header.split()]
    return [line for row in body.splitlines() if (line := _line(row, cpus)) is not None]


def _line(row: str, cpus: list[int]) -> InterruptLine | None:
    number, colon, rest = row.partition(":")
    words = rest.split(None, len(cpus))
    if not colon or not number.strip().isdecimal() or len(words) < len(cpus):
        return None
    if not all(word.isdecimal() for word in words[: len(cpus)]):
        return None  # a CPU has just come or gone
    counts = {cpu: int(word) for cpu, word in zip(cpus, words, strict=False)}
    detail = words[len(cpus)] if len(words) > len(cpus) else ""
    found = _DETAIL.match(detail)
    chip, actions = (found["chip"], found["actions"]) if found else ("", detail)
    return InterruptLine(int(number), counts, chip, actions.strip())


def read_irqs(name: str, sysfs: Path | None, told: Iterable[int]) -> tuple[Irq, ...]:
    """The interrupts that are the NIC's: those of its NAPI instances and of its device.

    A device on a bus that does not tell them has those that bear its name. What is no device has none, whatever it is
    called: /proc/interrupts is the whole host's, and has names of before an interface was renamed.

    Raises OSError: /proc/interrupts cannot be read.
    """
    ours = {*told, *_of_device(sysfs)}
    by_name = not ours and sysfs is not None and (sysfs / "device").exists()
    return tuple(
        _irq(line)
        for line in interrupts(Path("/proc/interrupts").read_text(encoding="ascii", errors="replace"))
        if line.number in ours or (by_name and _bears(line.actions, name))
    )


def _of_device(sysfs: Path | None) -> set[int]:
    """MSI interrupts, else the one line of a device without them."""
    pci = pci_directory(sysfs) if sysfs is not None else None
    if pci is None:
        return set()
    if (pci / "msi_irqs").is_dir():
        return {int(entry.name) for entry in (pci / "msi_irqs").iterdir()}
    line = number_in(pci / "irq")
    return {line} if line else set()


def _bears(actions: str, name: str) -> bool:
    return re.search(rf"(^|[\s,@]){re.escape(name)}($|[\s,-])", actions) is not None


def _irq(line: InterruptLine) -> Irq:
    where = Path("/proc/irq", str(line.number))
    return Irq(
        line.number,
        line.actions,
        line.chip,
        line.counts,
        text_in(where / "smp_affinity_list"),
        text_in(where / "effective_affinity_list"),
    )


def named_for_queue(irqs: Iterable[Irq], queue: int) -> Irq | None:
    """The interrupt whose name says that it serves a receive queue: ``eth0-TxRx-0``, ``virtio2-input.0``."""
    for irq in irqs:
        found = None if _SENDING.search(irq.name) else _QUEUE.search(irq.name)
        if found is not None and int(found["queue"]) == queue:
            return irq
    return None
