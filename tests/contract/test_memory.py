# SPDX-License-Identifier: Apache-2.0
"""Views own what they need for as long as they live, and nothing else is kept."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from typing import Any

import numpy as np

import wirepath as wp
from contract.subject import PATIENCE_S, Live, Scaled, Subject, collect, drain, rows_of
from wirepath.bench.frames import frame


def _held(capture: Any, count: int) -> list[tuple[Any, bytes]]:
    """(view, its bytes now) of the payload of batches that have `count` rows between them."""
    views, rows = [], 0
    until = time.monotonic() + PATIENCE_S
    while rows < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        if batch is not None:
            rows += len(batch)
            views += [(batch.data(row), bytes(batch.data(row))) for row in range(len(batch))]
    assert rows >= count
    return views


def test_lease(subject: Subject) -> None:
    """Payload that is held does not change, whatever comes after it, and outlives the capture."""
    frames = [frame(number, 400) for number in range(6000)]
    with subject.running(frames[:2000]) as capture:
        views = _held(capture, 500)
        first = [data for _, data in views]
        if isinstance(subject, Live):
            for start in (2000, 4000):
                subject.send(frames[start : start + 2000])
                drain(capture, quiet=0.1)
        else:
            drain(capture)
    gc.collect()
    assert first == frames[: len(first)]
    assert [view.tobytes() for view, _ in views] == first


def test_columns_are_kept(subject: Subject, scaled: Scaled) -> None:
    """Header columns that a user keeps are never recycled under their hands."""
    count = scaled(3000, 700)
    with subject.running([frame(number, 100 + number % 50) for number in range(count)]) as capture:
        kept = []
        until, rows = time.monotonic() + PATIENCE_S, 0
        while rows < count and time.monotonic() < until:
            batch = capture.receive(0.2)
            if batch is not None:
                kept.append((batch.origlen, batch.origlen.copy()))
                rows += len(batch)
    assert rows == count
    assert all(np.array_equal(column, then) for column, then in kept)


def test_lease_dropped_on_other_threads(live: Live) -> None:
    """Views let go on other threads come back to their ring, in whatever order, without loss."""
    chunks, per_chunk = 40, 250
    handed: list[Any] = []
    ready = threading.Condition()
    wrong: list[int] = []
    done = False

    def check_and_drop(seed: int) -> None:
        while True:
            with ready:
                ready.wait_for(lambda: handed or done)
                if not handed:
                    return
                rows, view, offsets = handed.pop(seed % len(handed))
            for number, (begin, end) in zip(rows, offsets, strict=True):
                if view[begin:end].tobytes() != frame(number, 300):
                    wrong.append(number)
            del view

    threads = [threading.Thread(target=check_and_drop, args=(seed,)) for seed in (0, 1, 5)]
    for thread in threads:
        thread.start()
    received = 0
    try:
        with live.open() as capture:
            for chunk in range(chunks):
                live.send([frame(number, 300) for number in range(chunk * per_chunk, (chunk + 1) * per_chunk)])
                until = time.monotonic() + PATIENCE_S
                while received < (chunk + 1) * per_chunk and time.monotonic() < until:
                    batch = capture.receive(0.2)
                    if batch is None:
                        continue
                    rows = [row.number for row in rows_of(batch)]
                    ends = (batch.offset + batch.caplen).tolist()
                    received += len(rows)
                    with ready:
                        handed.append((rows, batch.payload, list(zip(batch.offset.tolist(), ends, strict=True))))
                        ready.notify_all()
    finally:
        with ready:
            done = True
            ready.notify_all()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert wrong == []
    assert received == chunks * per_chunk


def test_backpressure(live: Live) -> None:
    """Views that hold everything: first the core copies, and counts it; then it says so; then it goes on."""
    held: list[Any] = []
    number, refusal = 0, None
    with live.open(**live.variant.small) as capture:
        until = time.monotonic() + 2 * PATIENCE_S
        while refusal is None and time.monotonic() < until:
            live.send([frame(number + index, 1400) for index in range(500)])
            number += 500
            try:
                while (batch := capture.receive(0.1)) is not None:
                    held.append((batch.payload, rows_of(batch)[0], int(batch.offset[0]), int(batch.caplen[0])))
            except wp.NoBufferError as error:
                refusal = error
        assert refusal is not None, f"{number} frames of 1400 bytes are held and there is still room"
        assert refusal.hint, "the remedy is not named"
        copied = capture.stats().copied
        assert copied is None or copied > 0 or not live.variant.lends_a_ring
        for view, row, offset, caplen in held:
            assert view[offset : offset + caplen].tobytes() == row.data, "held memory was written to"
        del view
        held.clear()
        gc.collect()
        drain(capture)
        frames = [frame(10**6 + index, 1400) for index in range(200)]
        live.send(frames)
        assert [row.data for row in collect(capture, len(frames))] == frames


def test_fork(live: Live) -> None:
    """A child that lets go of its parent's views, or ends, does not disturb the parent."""
    with live.open() as capture:
        live.send([frame(number, 500) for number in range(300)])
        views = _held(capture, 100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: other threads may run
            child = os.fork()
        if child == 0:
            status = 1
            try:
                views.clear()
                gc.collect()
                capture.close()
                del capture
                gc.collect()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        rest = 300 - len(views)
        assert len(collect(capture, rest)) == rest
        assert [view.tobytes() for view, _ in views] == [data for _, data in views]
        frames = [frame(number, 500) for number in range(1000, 1300)]
        live.send(frames)
        assert [row.data for row in collect(capture, 300)] == frames
