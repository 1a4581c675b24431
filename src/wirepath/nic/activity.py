# SPDX-License-Identifier: Apache-2.0
"""What an interface does: its counters, its interrupts and the kernel's polls of it, per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wirepath._core import PollCounter
from wirepath.errors import WirepathError
from wirepath.figure import Figure
from wirepath.linux.netns import inside
from wirepath.nic.nic import Nic, read

__all__ = ["Activity", "Meter"]

_LINK = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "rx_missed_errors", "rx_errors", "multicast")
_WRAP = 1 << 32  # of /proc/net/softnet_stat


@dataclass(frozen=True)
class Activity:
    """Rates of one interval."""

    seconds: float
    link: Mapping[str, float]
    """The interface's counters, a second: ``rx_packets``, ``rx_bytes``, ``rx_dropped``, …"""
    driver: Mapping[str, float]
    """The driver's own counters that moved, a second."""
    queues: Mapping[str, float]
    """Packets a second by queue: ``rx-0``, …; empty: the driver does not count them by queue."""
    interrupts: Figure
    """Of this NIC, a second."""
    interrupts_by_irq: Mapping[str, float]
    """By the interrupt's number and name."""
    polls: Figure
    """NAPI polls of this interface, a second."""
    packets_per_poll: Figure
    empty_polls: Figure
    """Polls a second that received nothing: those after sent packets, and those that only looked."""
    full_polls: Figure
    """Polls a second that used up their budget: more was waiting."""
    softnet_processed: float | None
    """Packets of all interfaces of the host that came out of polls and backlogs, a second."""
    softnet_dropped: float | None
    softnet_squeezed: float | None
    """Times a second that a receive softirq ended with work left over."""

    @property
    def packets_per_interrupt(self) -> Figure:
        """Packets in and out for each interrupt of the NIC."""
        packets = self.link["rx_packets"] + self.link["tx_packets"]
        if not self.interrupts.value:
            return Figure(None, "unknown", self.interrupts.detail or "no interrupt came in this time")
        return _measured(packets / self.interrupts.value)


class Meter:
    """Reads an interface again and again.

    >>> meter = Meter("eth0")
    >>> time.sleep(1)
    >>> meter.next().interrupts
    """

    def __init__(self, name: str, netns: str | None = None) -> None:
        """Begin. Raises what `read` raises; polls that cannot be counted are no error."""
        self._where = name, netns
        self.nic = read(name, netns)
        """The last reading."""
        self._polls = self._count_polls()

    def _count_polls(self) -> _Polls:
        with inside(self._where[1]):
            return _Polls(self.nic.link.ifindex)

    def next(self) -> Activity:
        """The rates since the reading before. Raises what `read` raises."""
        before, self.nic = self.nic, read(*self._where)
        if self.nic.link.ifindex != before.link.ifindex:
            self._polls.give_up("the interface is another one than before")
        activity = _between(before, self.nic, self._polls)
        if self.nic.link.ifindex != before.link.ifindex:
            self._polls = self._count_polls()
        return activity


class _Polls:
    """The polls of an interface of the calling thread's namespace, or why they cannot be counted."""

    def __init__(self, ifindex: int) -> None:
        self._refused = ""
        self._before: dict[str, int] = {}
        try:
            self._counter = PollCounter(ifindex, Path("/proc/thread-self/ns/net").stat().st_ino)
            self._before = self._counter.read()
        except WirepathError as refused:
            self._refused = str(refused)

    def give_up(self, why: str) -> None:
        """What was counted is of another interface."""
        self._refused = self._refused or why

    def moved(self) -> dict[str, int]:
        """What came on top since it was last asked; nothing where it cannot be counted."""
        if self._refused:
            return {}
        before, self._before = self._before, self._counter.read()
        return {name: count - before[name] for name, count in self._before.items()}

    def figure(self, value: float | None) -> Figure:
        """Measured, or unknown with the reason."""
        return Figure(None, "unknown", self._refused or "no poll in this time") if value is None else _measured(value)


def _measured(value: float) -> Figure:
    return Figure(value, "measured")


def _between(before: Nic, after: Nic, polls: _Polls) -> Activity:
    seconds = (after.read_ns - before.read_ns) / 1e9
    by_irq = _interrupts(before, after, seconds)
    polled = polls.moved()
    rates = {name: count / seconds for name, count in polled.items()}
    return Activity(
        seconds=seconds,
        link={name: _moved(before.counters, after.counters, name) / seconds for name in _LINK},
        driver={
            name: moved / seconds
            for name in after.driver_counters or {}
            if (moved := _moved(before.driver_counters or {}, after.driver_counters or {}, name)) > 0
        },
        queues=_queues(before, after, seconds),
        interrupts=_total(after, by_irq),
        interrupts_by_irq=by_irq,
        polls=polls.figure(rates.get("polls")),
        packets_per_poll=polls.figure(polled["packets"] / polled["polls"] if polled.get("polls") else None),
        empty_polls=polls.figure(rates.get("empty")),
        full_polls=polls.figure(rates.get("full")),
        softnet_processed=_softnet(before, after, "processed", seconds),
        softnet_dropped=_softnet(before, after, "dropped", seconds),
        softnet_squeezed=_softnet(before, after, "time_squeeze", seconds),
    )


def _moved(before: Mapping[str, int], after: Mapping[str, int], name: str) -> int:
    """A driver that was reset begins at 0 again: what it counted since is all that is known."""
    now, then = after.get(name, 0), before.get(name, 0)
    return now - then if now >= then else now


def _queues(before: Nic, after: Nic, seconds: float) -> dict[str, float]:
    then = {(row.type, row.queue): row.counters for row in before.queue_stats or ()}
    found = {}
    for row in after.queue_stats or ():
        name = f"{row.type}_packets"
        if name in row.counters:
            moved = _moved(then.get((row.type, row.queue), {}), row.counters, name)
            found[f"{row.type}-{row.queue}"] = moved / seconds
    return found


def _interrupts(before: Nic, after: Nic, seconds: float) -> dict[str, float]:
    then = {irq.number: irq.total for irq in before.irqs or ()}
    return {
        f"{irq.number} {irq.name}": max(0, irq.total - then.get(irq.number, irq.total)) / seconds
        for irq in after.irqs or ()
    }


def _total(nic: Nic, by_irq: Mapping[str, float]) -> Figure:
    if nic.irqs is None:
        return Figure(None, "unknown", nic.missing.get("irqs", ""))
    if not nic.irqs:
        return Figure(None, "unknown", "the device has no interrupts of its own")
    return _measured(sum(by_irq.values()))


def _softnet(before: Nic, after: Nic, field: str, seconds: float) -> float | None:
    if before.softnet is None or after.softnet is None:
        return None
    then = {row.cpu: getattr(row, field) for row in before.softnet}
    moved = ((getattr(row, field) - then.get(row.cpu, getattr(row, field))) % _WRAP for row in after.softnet)
    return float(sum(moved)) / seconds
