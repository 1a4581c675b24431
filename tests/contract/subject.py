# SPDX-License-Identifier: Apache-2.0
"""An engine under test, and the known packets that it is given: over a wire, or as a file."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

import wirepath as wp
from contract.variants import Variant
from wirepath.bench.frames import SMALLEST, Sender, number_of
from wirepath.bench.lab import Sent, Wire
from wirepath.bench.nic_wire import NicWire

Scaled = Callable[[int, int], int]  # (how many, at least so many): the fixture `scaled`
PATIENCE_S = 20.0  # for what should take milliseconds, on a machine that is busy with something else


@dataclass(frozen=True)
class Row:
    """A packet as it was delivered."""

    ts: int
    data: bytes
    origlen: int
    queue: int
    vlan_tci: int
    vlan_tpid: int
    flags: int

    @property
    def number(self) -> int | None:
        return number_of(self.data)

    @property
    def wire_bytes(self) -> bytes:
        """The bytes with the tag that was in metadata put back."""
        if not self.vlan_tpid:
            return self.data
        return self.data[:12] + struct.pack(">HH", self.vlan_tpid, self.vlan_tci) + self.data[12:]


def rows_of(batch: Any) -> list[Row]:
    base = memoryview(batch.payload)
    columns = (batch.ts, batch.offset, batch.caplen, batch.origlen, batch.queue, batch.vlan_tci, batch.vlan_tpid)
    return [
        Row(ts, bytes(base[offset : offset + caplen]), origlen, queue, tci, tpid, flags)
        for ts, offset, caplen, origlen, queue, tci, tpid, flags in zip(
            *(column.tolist() for column in (*columns, batch.flags)), strict=True
        )
    ]


def collect(capture: Any, count: int, *, patience: float = PATIENCE_S) -> list[Row]:
    """The next `count` rows, or what came of them in time."""
    rows: list[Row] = []
    until = time.monotonic() + patience
    while len(rows) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        if batch is not None:
            rows += rows_of(batch)
    return rows


def drain(capture: Any, *, quiet: float = 0.4) -> list[Row]:
    """All that is there, until nothing has come for `quiet` seconds."""
    rows: list[Row] = []
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        batch = capture.receive(quiet)
        if batch is None:
            break
        rows += rows_of(batch)
    return rows


def need_tags_in_metadata(capture: Any) -> None:
    """Skips where XDP does not get to see tags that are not in the bytes: the engine says so."""
    for source in capture.sources:
        for granted in source.granted:
            if granted.name == "vlan_tags" and granted.granted.startswith("only"):
                pytest.skip(f"cannot run here: XDP in this kernel and driver sees {granted.granted}")


class Subject(Protocol):
    """What the cases need of an engine, live or from a file."""

    variant: Variant
    smallest: int  # bytes of a frame that arrives as long as it was

    def running(self, frames: Sequence[bytes] = (), **options: Any) -> contextlib.AbstractContextManager[Any]:
        """A capture that these frames are on their way to."""

    def receiving(self, frames: Sequence[bytes]) -> contextlib.AbstractContextManager[Any]:
        """A capture that these frames come to meanwhile: for more than a ring may hold that nobody reads.

        A block of a ring is used up by its timeout, however little is in it: a sender that is slow fills them all.
        """


class Live:
    """An engine at the far end of a wire."""

    def __init__(self, variant: Variant, wire: Wire | NicWire) -> None:
        self.variant = variant
        self.wire = wire
        self.smallest = max(SMALLEST, wire.smallest)
        self.sender = Sender(wire.near)

    def open(self, **options: Any) -> Any:
        options = {
            "engine": self.variant.engine,
            "netns": self.wire.far.namespace.path,
            **self.variant.options,
        } | options
        return wp.open(self.wire.far.name, **options)

    @contextlib.contextmanager
    def running(self, frames: Sequence[bytes] = (), **options: Any) -> Iterator[Any]:
        with self.open(**options) as capture:
            self.send(frames)
            yield capture

    @contextlib.contextmanager
    def receiving(self, frames: Sequence[bytes]) -> Iterator[Any]:
        with self.open() as capture, ThreadPoolExecutor(1) as other_thread:
            sending = other_thread.submit(self.send, frames)
            yield capture
            sending.result()

    def send(self, frames: Sequence[bytes]) -> Sent:
        """Sends, and waits until the link has passed them on or dropped them."""
        before = self.wire.sent()
        self.wire.settle()
        burst = self.wire.burst or max(1, len(frames))
        for start in range(0, len(frames), burst):
            given = self.sender.send(frames[start : start + burst])
            self._wait_for(before, start + given)
        sent = self.wire.sent() - before
        assert sent.sent == len(frames), "the generator and the link count differently"
        return sent

    def _wait_for(self, before: Sent, count: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            sent = self.wire.sent() - before
            if sent.delivered + sent.dropped_link + sent.dropped_backlog + sent.dropped_nic >= count:
                return
            assert time.monotonic() < until, f"of {count} frames neither came nor were dropped all: {sent}"
            time.sleep(0.01)

    def close(self) -> None:
        self.sender.close()


class Recorded:
    """An engine that reads files: each is written here, by hand, from the same frames."""

    TIME_STEP_NS = 1_000_003
    smallest = SMALLEST

    def __init__(self, variant: Variant, directory: Path) -> None:
        self.variant = variant
        self.directory = directory
        self._files = 0

    @contextlib.contextmanager
    def running(self, frames: Sequence[bytes] = (), **options: Any) -> Iterator[Any]:
        path = self.directory / f"{self._files}.pcap"
        self._files += 1
        path.write_bytes(self.contents(frames))
        with wp.open(str(path), engine=self.variant.engine, **self.variant.options | options) as capture:
            yield capture

    def receiving(self, frames: Sequence[bytes]) -> contextlib.AbstractContextManager[Any]:
        return self.running(frames)

    @classmethod
    def contents(cls, frames: Sequence[bytes]) -> bytes:
        """A pcap file in nanoseconds."""
        head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
        start = time.time_ns()
        records = []
        for index, data in enumerate(frames):
            seconds, nanoseconds = divmod(start + index * cls.TIME_STEP_NS, 10**9)
            records.append(struct.pack("<IIII", seconds, nanoseconds, len(data), len(data)) + data)
        return head + b"".join(records)
