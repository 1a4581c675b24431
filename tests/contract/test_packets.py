# SPDX-License-Identifier: Apache-2.0
"""What is delivered is what was sent."""

from __future__ import annotations

import itertools
import random
import struct
import time

import pytest

import wirepath as wp
from contract.subject import (
    PATIENCE_S,
    Live,
    Recorded,
    Scaled,
    Subject,
    collect,
    drain,
    need_tags_in_metadata,
)
from contract.variants import tag_as_told, tags_put_back, wanting_for_jumbo, wanting_for_timestamps
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import JUMBO_MTU

VLAN, SERVICE_VLAN = 0x8100, 0x88A8
INBOUND, OUTBOUND = 1 << 0, 1 << 1  # core/packet.hpp


def test_order(subject: Subject, scaled: Scaled) -> None:
    frames = [frame(number) for number in range(scaled(4000, 1000))]
    with subject.receiving(frames) as capture:
        rows = collect(capture, len(frames), patience=3 * PATIENCE_S)
    assert [row.number for row in rows] == list(range(len(frames)))


def test_exact_bytes(subject: Subject) -> None:
    chance = random.Random(7)
    frames = [frame(number, chance.randint(subject.smallest, 1514)) for number in range(500)]
    with subject.receiving(frames) as capture:
        rows = collect(capture, len(frames))
        stats = capture.stats()
    assert [row.data for row in rows] == frames
    assert [row.origlen for row in rows] == [len(data) for data in frames]
    assert stats.received == len(frames)
    assert stats.received_bytes == sum(len(data) for data in frames)


@pytest.mark.parametrize("snaplen", [64, 100, 1000])
def test_snaplen(subject: Subject, snaplen: int) -> None:
    frames = [frame(number, size) for number, size in enumerate((64, 99, 100, 101, 999, 1000, 1001, 1514))]
    with subject.running(frames, snaplen=snaplen) as capture:
        rows = collect(capture, len(frames))
        stats = capture.stats()
    assert [row.data for row in rows] == [data[:snaplen] for data in frames]
    assert [row.origlen for row in rows] == [len(data) for data in frames]
    assert stats.received_bytes == sum(min(len(data), snaplen) for data in frames)


@pytest.mark.wire(mtu=JUMBO_MTU)
def test_jumbo(subject: Subject) -> None:
    if isinstance(subject, Live) and (reason := wanting_for_jumbo(subject.variant, subject.wire.driver)):
        pytest.skip(f"cannot run here: {reason}")
    frames = [frame(number, size) for number, size in enumerate((1514, 1515, 4096, 9014, 64, 9014))]
    with subject.running(frames) as capture:
        rows = collect(capture, len(frames))
    assert [row.origlen for row in rows] == [len(data) for data in frames]
    assert [row.data for row in rows] == frames


def test_vlan_in_bytes(subject: Subject) -> None:
    """The sender put the tags into the bytes. The kernel may take the outer one out on the way: it is not lost."""
    frames = [
        frame(0, tags=((VLAN, 100),)),
        frame(1),
        frame(2, tags=((SERVICE_VLAN, 7), (VLAN, 0x6064))),
        frame(3, tags=((VLAN, 0),)),
    ]
    if not subject.variant.tells_tpid:
        frames[2] = frame(2, tags=((VLAN, 7), (VLAN, 0x6064)))
    with subject.running(frames) as capture:
        rows = collect(capture, len(frames))
    assert [row.wire_bytes for row in rows] == [tags_put_back(subject.variant, data) for data in frames]
    for row, data in zip(rows, frames, strict=True):
        assert row.origlen == len(row.data), "origlen is without a tag that is in metadata"
        assert not row.vlan_tpid or row.vlan_tpid == int.from_bytes(data[12:14], "big")


def _told(live: Live, tpid: int, tci: int) -> tuple[int, int]:
    return tag_as_told(live.variant, live.wire.driver, tpid, tci)


@pytest.mark.wire(relay=True)
def test_vlan_in_metadata(live: Live) -> None:
    """The tag is out of the bytes before the interface gets the frame, as with a NIC that does VLAN offload."""
    frames = [frame(0, tags=((VLAN, 0x2064),)), frame(1), frame(2, tags=((SERVICE_VLAN, 7), (VLAN, 100)))]
    told = [_told(live, VLAN, 0x2064), None, _told(live, SERVICE_VLAN, 7)]
    with live.running(frames) as capture:
        need_tags_in_metadata(capture)
        rows = collect(capture, len(frames))
    assert [row.wire_bytes for row in rows] == [
        tags_put_back(live.variant, data if tag is None else data[:12] + struct.pack(">HH", *tag) + data[16:])
        for data, tag in zip(frames, told, strict=True)
    ]


def test_timestamps(live: Live) -> None:
    """Host clock, in ns: none before the frame was sent or after it was received, and none before the one before."""
    if reason := wanting_for_timestamps(live.variant, live.wire.driver):
        pytest.skip(f"cannot run here: {reason}")
    slack = 20_000_000  # a clock read elsewhere and converted
    before = time.time_ns()
    with live.running([frame(number) for number in range(300)]) as capture:
        times = [row.ts for row in collect(capture, 300)]
    after = time.time_ns()
    assert len(times) == 300
    assert before - slack <= times[0]
    assert times[-1] <= after + slack
    assert times == sorted(times)
    assert any(ts % 1000 for ts in times), "no time has a nanosecond part"
    assert len(set(times)) > 1


def test_timestamps_recorded(recorded: Recorded) -> None:
    with recorded.running([frame(number) for number in range(300)]) as capture:
        times = [row.ts for row in collect(capture, 300)]
    assert [later - ts for ts, later in itertools.pairwise(times)] == [Recorded.TIME_STEP_NS] * 299


def test_direction(live: Live) -> None:
    """What came in says so; what the host sent says so, or is not captured at all by what takes packets."""
    with live.open() as capture, Sender(live.wire.far) as far:
        live.send([frame(0), frame(1)])
        far.send([frame(2), frame(3)])
        rows = {row.number: row.flags & (INBOUND | OUTBOUND) for row in drain(capture)}
    expected = {0: INBOUND, 1: INBOUND}
    if live.variant.sees_sent:
        expected |= {2: OUTBOUND, 3: OUTBOUND}
    if not live.variant.says_direction:
        expected = dict.fromkeys(expected, 0)
    assert rows == expected


@pytest.mark.parametrize(("direction", "numbers"), [("in", [0, 1]), ("out", [2, 3]), ("inout", [0, 1, 2, 3])])
def test_direction_chosen(live: Live, direction: str, numbers: list[int]) -> None:
    (engine,) = (engine for engine in wp.engines() if engine.name == live.variant.engine)
    at_tc = live.variant.options.get("hook") == "tc"  # there also what takes packets may take what the host sends
    if "direction" not in (option.name for option in engine.options) or not (live.variant.sees_sent or at_tc):
        pytest.skip("the engine has no choice of direction")
    if live.variant.options.get("hook") == "xdp":
        pytest.skip("an XDP program sees only what comes in")
    with live.open(direction=direction) as capture, Sender(live.wire.far) as far:
        live.send([frame(0), frame(1)])
        far.send([frame(2), frame(3)])
        assert [row.number for row in drain(capture)] == numbers


def test_mode(subject: Subject) -> None:
    """The engine says what it is, and what it was granted."""
    with subject.running([frame(0)]) as capture:
        assert capture.engine == subject.variant.engine
        assert subject.variant.mode in capture.mode
        assert capture.mode
