# SPDX-License-Identifier: Apache-2.0
"""Runs: files and made traffic, at a rate. How exact a rate is, bench/ says: here a machine may be busy."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import wirepath as wp
from senders.outlet import Outlet, collect
from wirepath.bench.frames import frame, number_of

_NOW = 1_700_000_000_000_000_000


def recorded(path: Path, frames: list[bytes], gap_ns: int) -> Path:
    """A capture file of these frames."""
    rows = [(_NOW + number * gap_ns, data, len(data), 0, 0, 0, []) for number, data in enumerate(frames)]
    writer = wp.PcapngWriter(str(path))
    writer.write(wp._core.batch_of([("made", 1)], rows))
    writer.close()
    return path


def _times(capture: wp.Capture, count: int) -> np.ndarray:
    times: list[int] = []
    until = time.monotonic() + 20
    while len(times) < count and time.monotonic() < until:
        if (batch := capture.receive(0.2)) is not None:
            times += batch.ts.tolist()
    return np.array(times)


def test_file_as_recorded(outlet: Outlet, tmp_path: Path) -> None:
    frames = [frame(number) for number in range(51)]
    path = recorded(tmp_path / "in.pcapng", frames, 10_000_000)
    with outlet.watched() as capture, outlet.open() as sender:
        sent = wp.send(path, sender)
        times = _times(capture, len(frames))
    assert (sent.end, sent.packets, sent.passes, sent.cut, sent.stats.errors) == ("end_of_file", 51, 1, 0, 0)
    assert sent.asked_seconds == pytest.approx(0.5, abs=1e-6)
    assert 0.49 < sent.seconds < 2
    assert len(times) == 51
    assert 0.35 < (times[-1] - times[0]) / 1e9 < 2, "on a busy machine a frame may be late, and those after it are not"


def test_filter_speed_and_passes(outlet: Outlet, tmp_path: Path) -> None:
    """Of every second frame, twice as fast, three times over; a pass follows the other after a mean gap."""
    frames = [frame(number, port=7 + number % 2) for number in range(20)]
    path = recorded(tmp_path / "in.pcapng", frames, 2_000_000)
    with outlet.watched() as capture, outlet.open() as sender:
        sent = wp.send(path, sender, filter="udp dst port 8", speed=2, passes=3)
        assert collect(capture, 30) == frames[1::2] * 3
    assert sent.passes == 3
    assert sent.asked_seconds == pytest.approx((3 * 18 + 2 * 2.0) * 1e-3, rel=0.2)


def test_pps_and_count(outlet: Outlet) -> None:
    flow = wp.parse_flow("udp 10.0.0.1:1000-1009 > 10.0.0.2:53")
    with outlet.watched() as capture, outlet.open() as sender:
        sent = wp.send(flow, sender, pps=1000, count=200, sizes=(90,), target_mac=bytes(6))
        assert [number_of(data) for data in collect(capture, 200)] == list(range(200))
    assert (sent.end, sent.packets) == ("packets", 200)
    assert sent.asked_pps == pytest.approx(1000, rel=1e-6)
    assert 300 < sent.pps < 1010


def test_bps_and_seconds(outlet: Outlet) -> None:
    flow = wp.parse_flow("udp 10.0.0.1:1000 > 10.0.0.2:53")
    with outlet.open() as sender:
        sent = wp.send(flow, sender, bps=8e6, seconds=0.5, sizes=(1000,), target_mac=bytes(6))
    assert sent.end == "duration"
    assert 250 < sent.packets <= 510
    assert 4e6 < sent.bps < 8.2e6


def test_top(outlet: Outlet) -> None:
    """Nothing of what it could send is lost, and its order is kept."""
    flow = wp.parse_flow("udp 10.0.0.1:1-60000 > 10.0.0.2:53")
    with outlet.watched(block_nr=256) as capture, outlet.open() as sender:
        sent = wp.send(flow, sender, top=True, count=40_000, sizes=(80,), target_mac=bytes(6))
        received = []
        while len(received) < 40_000 and (batch := capture.receive(2)) is not None:
            received += [number_of(bytes(packet.data)) for packet in batch]
        assert capture.stats().dropped_ring == 0
    assert sent.stats.queued == 40_000
    assert received == list(range(40_000))


def test_interrupted_between_two_frames(outlet: Outlet, tmp_path: Path) -> None:
    path = recorded(tmp_path / "in.pcapng", [frame(1), frame(2)], 3_600_000_000_000)
    begun = time.monotonic()
    with outlet.watched() as capture, outlet.open() as sender:
        sent = wp.send(path, sender, progress=lambda run: run.packets > 0)
        assert sent.end == "interrupted"
        assert time.monotonic() - begun < 10
        assert collect(capture, 1) == [frame(1)]
        assert sender.send([frame(3)]) == 1, "the sender is not told of what ended the run"


def test_ctrl_c(outlet: Outlet, tmp_path: Path) -> None:
    path = recorded(tmp_path / "in.pcapng", [frame(1), frame(2)], 3_600_000_000_000)
    with outlet.open() as sender:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            wp.send(path, sender)
        assert sender.stats().queued == 1


def test_gone_while_waiting(outlet: Outlet, tmp_path: Path) -> None:
    """With the next frame the run says so."""
    path = recorded(tmp_path / "in.pcapng", [frame(number) for number in range(100)], 20_000_000)
    with outlet.open() as sender:
        threading.Timer(0.3, outlet.wire.near.set, (), {"state": "down"}).start()
        with pytest.raises(wp.InterfaceGoneError, match="gen0"):
            wp.send(path, sender)


def test_other_linktype(outlet: Outlet, tmp_path: Path) -> None:
    path = tmp_path / "raw.pcapng"
    writer = wp.PcapngWriter(str(path))
    writer.write(wp._core.batch_of([("tun", 101)], [(_NOW, frame(1)[14:], 50, 0, 0, 0, [])]))
    writer.close()
    with outlet.open() as sender, pytest.raises(wp.UnsupportedError, match="linktype 101"):
        wp.send(path, sender)


def test_closed_while_it_runs(outlet: Outlet) -> None:
    flow = wp.parse_flow("udp 10.0.0.1:1000 > 10.0.0.2:53")
    sender = outlet.open()
    threading.Timer(0.3, sender.close).start()
    sent = wp.send(flow, sender, pps=100_000, seconds=30, target_mac=bytes(6))
    assert sent.end == "interrupted"
