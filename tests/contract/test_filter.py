# SPDX-License-Identifier: Apache-2.0
"""The same expression means the same in every engine, also while it changes."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

import wirepath as wp
from contract.subject import PATIENCE_S, Live, Subject, collect, drain, need_tags_in_metadata, rows_of
from wirepath.bench.frames import Sender, frame

VLAN = 0x8100


def test_filter(subject: Subject) -> None:
    frames = [frame(number, port=53 if number % 3 == 0 else 80) for number in range(300)]
    wanted = [number for number in range(300) if number % 3 == 0]
    with subject.running(frames, filter="udp dst port 53") as capture:
        assert [row.number for row in collect(capture, len(wanted))] == wanted
        assert drain(capture) == []
        assert capture.filtered_by in ("nic", "xdp", "kernel", "pipeline")
        stats = capture.stats()
    assert stats.received == len(wanted)
    assert stats.filtered in (None, len(frames) - len(wanted)), "known and exact, or not known"


def test_filter_none_matches(subject: Subject) -> None:
    with subject.running([frame(number) for number in range(100)], filter="tcp port 1") as capture:
        assert drain(capture) == []
        assert capture.stats().received == 0


@pytest.mark.parametrize("expression", ["vlan 100 and udp port 53", "vlan 100"])
def test_filter_vlan(subject: Subject, expression: str) -> None:
    """A tag is matched wherever it is: in metadata or in bytes."""
    frames = [
        frame(0, port=53, tags=((VLAN, 100),)),
        frame(1, port=53),
        frame(2, port=53, tags=((VLAN, 101),)),
        frame(3, port=53, tags=((VLAN, 0x6064),)),
    ]
    with subject.running(frames, filter=expression) as capture:
        assert [row.number for row in collect(capture, 2)] == [0, 3]
        assert drain(capture) == []


@pytest.mark.wire(relay=True)
def test_filter_vlan_in_metadata(live: Live) -> None:
    frames = [frame(0, port=53, tags=((VLAN, 100),)), frame(1, port=53), frame(2, port=53, tags=((VLAN, 101),))]
    with live.running(frames, filter="vlan 100 and udp port 53") as capture:
        need_tags_in_metadata(capture)
        assert [row.number for row in collect(capture, 1)] == [0]
        assert drain(capture) == []


def test_filter_syntax_error(subject: Subject) -> None:
    with pytest.raises(wp.FilterError), subject.running(filter="udp port 53 andd tcp"):
        pass


def test_filter_change(live: Live) -> None:
    """What is delivered after set_filter() matches the new one, and all that was sent after it and matches comes."""
    ports = (53, 80)
    with live.open(filter=f"udp dst port {ports[0]}") as capture:
        live.send([frame(number, port=ports[number % 2]) for number in range(200)])
        for turn in range(1, 5):
            port = ports[turn % 2]
            capture.set_filter(f"udp dst port {port}")
            numbers = range(turn * 1000, turn * 1000 + 200)
            live.send([frame(number, port=ports[number % 2]) for number in numbers])
            rows = drain(capture, quiet=0.2)
            assert all(int.from_bytes(row.data[36:38], "big") == port for row in rows), "admitted by the old filter"
            fresh = [row.number for row in rows if row.number is not None and row.number >= numbers[0]]
            assert fresh == [number for number in numbers if ports[number % 2] == port]


def test_filter_change_under_load(live: Live) -> None:
    """The same while frames keep coming."""
    ports = (53, 80)
    stop = threading.Event()

    def load() -> None:
        with Sender(live.wire.near) as sender:
            numbers = itertools.count()
            while not stop.is_set():
                sender.send(frame(number, port=ports[number % 2]) for number in itertools.islice(numbers, 64))
                time.sleep(0.002)

    with live.open(filter=f"udp dst port {ports[0]}") as capture:
        thread = threading.Thread(target=load)
        thread.start()
        try:
            for turn in range(1, 21):
                port = ports[turn % 2]
                capture.set_filter(f"udp dst port {port}")
                seen, until = 0, time.monotonic() + PATIENCE_S
                while seen < 100 and time.monotonic() < until:
                    batch = capture.receive(0.2)
                    rows = rows_of(batch) if batch is not None else []
                    assert all(int.from_bytes(row.data[36:38], "big") == port for row in rows)
                    numbers = [row.number for row in rows]
                    assert numbers == sorted(numbers)  # type: ignore[type-var]
                    seen += len(rows)
                assert seen >= 100, "nothing that matches the new filter came"
        finally:
            stop.set()
            thread.join()


def test_filter_change_to_a_bad_one(live: Live) -> None:
    """The old one stays in force."""
    with live.open(filter="udp dst port 53") as capture:
        with pytest.raises(wp.FilterError):
            capture.set_filter("udp dst prt 80")
        live.send([frame(0, port=80), frame(1, port=53)])
        assert [row.number for row in collect(capture, 1)] == [1]
        assert drain(capture) == []
