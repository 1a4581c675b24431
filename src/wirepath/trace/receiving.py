# SPDX-License-Identifier: Apache-2.0
"""Receiving known packets with one engine while the kernel is watched."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import wirepath as wp
from wirepath import _core
from wirepath.errors import WirepathError, error
from wirepath.trace.pair import Pair
from wirepath.trace.sender import KnownSender, Sending

if TYPE_CHECKING:
    from wirepath._core import CopyCounts

__all__ = ["Account", "Receiver"]

_MAGIC_AT, _MARK_BYTES = 42, 16  # after the headers of Ethernet, IPv4 and UDP: wirepath.bench.frames
_MAGIC = int.from_bytes(b"wirepath", "big")
_WARMING_UP_S = 15.0  # until the first packet comes through: a NIC that resets its link takes seconds
_DRAINING_S = 0.5  # for what else is on its way
_PATIENCE_S = 3.0  # for the next packet
_SETTLING_S = 0.05  # for what the kernel still does with the last one
_WARM_UP_NUMBERS = 1 << 20  # below those that are counted

_Tallies = dict[str, tuple[int, int]]
_Copied = tuple[int, int] | None  # packets, bytes; None: the engine cannot know


@dataclass(frozen=True)
class Account:
    """What was sent and received, and what was counted meanwhile."""

    granted: str
    sent: int
    received: int
    gap_us: float
    copied: _Copied  # by Wirepath itself
    receiver: _Tallies = field(default_factory=dict)
    sender: _Tallies = field(default_factory=dict)
    system_calls: dict[str, int] | None = None
    interrupts: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Delivered:
    """What a capture gave."""

    received: int  # of ours
    strangers: int  # others' packets that came meanwhile
    strange_bytes: int

    def copies_of_ours(self, copied: _Copied) -> _Copied:
        """An engine that copies copies each packet, also those of others: they are none of our business."""
        if copied is None or copied[0] != self.received + self.strangers:
            return copied
        return copied[0] - self.strangers, copied[1] - self.strange_bytes


@dataclass(frozen=True)
class Receiver:
    """One end of the pair, and who sends to it."""

    pair: Pair
    sender: KnownSender
    counter: _core.CopyCounter | None
    packets: int
    gap_us: int

    def run(self, engine: str, options: dict[str, Any], size: int, first: int) -> Account:
        """Receive packets that have the numbers from `first` on. Raises WirepathError."""
        end = self.pair.receiver
        with wp.open(end.name, engine, netns=end.netns, **options) as capture:
            self._warm_up(capture, size, first - _WARM_UP_NUMBERS)
            before = _copied(capture), self._read()
            self._count(size, first)
            self.sender.order(first, self.packets, size, self.gap_us)
            delivered = self._receive(capture, first)
            return self._account(capture, before, delivered, self.sender.report())

    def _warm_up(self, capture: wp.Capture, size: int, number: int) -> None:
        until = time.monotonic() + _WARMING_UP_S
        for one in range(number, number + _WARM_UP_NUMBERS):
            self.sender.order(one, 1, size, 0)
            self.sender.report()
            if _wait_for(capture, number, 0.2):
                break
            if time.monotonic() > until:
                raise error(WirepathError, f"nothing of what {self.pair.sender.name} sends arrives", "Are they joined?")
        until = time.monotonic() + _DRAINING_S  # others may be sending without end
        while time.monotonic() < until and capture.receive(0.05) is not None:
            pass

    def _count(self, size: int, first: int) -> None:
        if self.counter is not None:
            self.counter.count(first, self.packets, size, self.pair.receiver.at(), self.pair.sender.at())

    def _receive(self, capture: wp.Capture, first: int) -> _Delivered:
        """Between the calls of the counter this thread makes no system call of its own."""
        seen = np.zeros(self.packets, dtype=bool)
        strangers = strange_bytes = 0
        last = time.monotonic()
        if self.counter is not None:
            self.counter.receive_here()
        while not seen.all() and time.monotonic() - last < _PATIENCE_S:
            batch = capture.receive(0.2)
            if batch is None:
                continue
            rows, numbers = numbers_in(batch)
            ours = numbers - np.uint64(first) < self.packets
            seen[(numbers - np.uint64(first))[ours]] = True
            strangers += len(batch) - int(ours.sum())
            strange_bytes += int(batch.caplen.sum()) - int(batch.caplen[rows[ours]].sum())
            if ours.any():
                last = time.monotonic()
        if self.counter is not None:
            self.counter.leave()
            time.sleep(_SETTLING_S)
            self.counter.pause()
        return _Delivered(int(seen.sum()), strangers, strange_bytes)

    def _read(self) -> CopyCounts | None:
        return self.counter.read() if self.counter is not None else None

    def _account(
        self, capture: wp.Capture, before: tuple[_Copied, CopyCounts | None], delivered: _Delivered, sending: Sending
    ) -> Account:
        copied, counts = before
        now = self._read()
        account = Account(
            granted=capture.mode,
            sent=sending.sent,
            received=delivered.received,
            gap_us=sending.seconds / max(sending.sent - 1, 1) * 1e6,
            copied=delivered.copies_of_ours(_difference(_copied(capture), copied)),
        )
        if now is None or counts is None:
            return account
        return replace(
            account,
            receiver=_tallies_since(now["receiver"], counts["receiver"]),
            sender=_tallies_since(now["sender"], counts["sender"]),
            system_calls=_since(now["system_calls"], counts["system_calls"]),
            interrupts=_since(now["interrupts"], counts["interrupts"]),
        )


_Key = TypeVar("_Key")


def _since(now: dict[_Key, int], before: dict[_Key, int]) -> dict[_Key, int]:
    counted = {key: value - before.get(key, 0) for key, value in now.items()}
    return {key: value for key, value in counted.items() if value}


def _tallies_since(now: _Tallies, before: _Tallies) -> _Tallies:
    return {key: (calls - before[key][0], bytes_ - before[key][1]) for key, (calls, bytes_) in now.items()}


def _difference(now: _Copied, before: _Copied) -> _Copied:
    return (now[0] - before[0], now[1] - before[1]) if now and before else None


def numbers_in(batch: wp.Batch) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """The rows of the known packets in it, and their numbers."""
    rows = np.flatnonzero(batch.caplen >= _MAGIC_AT + _MARK_BYTES)
    places = batch.offset[rows, None] + np.arange(_MAGIC_AT, _MAGIC_AT + _MARK_BYTES, dtype=np.uint64)
    marks = np.ascontiguousarray(batch.payload[places]).view(">u8").astype(np.uint64)
    if not len(rows):
        return rows, np.zeros(0, np.uint64)
    known = marks[:, 0] == _MAGIC
    return rows[known], marks[known, 1]


def _wait_for(capture: wp.Capture, number: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        batch = capture.receive(max(until - time.monotonic(), 0))
        if batch is not None and (numbers_in(batch)[1] - np.uint64(number) < _WARM_UP_NUMBERS).any():
            return True
    return False


def _copied(capture: wp.Capture) -> _Copied:
    stats = capture.stats()
    return None if stats.copied is None or stats.copied_bytes is None else (stats.copied, stats.copied_bytes)
