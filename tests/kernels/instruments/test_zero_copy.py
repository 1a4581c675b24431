# SPDX-License-Identifier: Apache-2.0
"""AF_XDP zero-copy over real drivers: the NIC writes into the frames of each queue, and none of them is ever lost.

That it takes no copy at all is counted in test_copies.py.
"""

from __future__ import annotations

import random
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wirepath as wp
from wirepath.bench.frames import Sender, checksum, frame, number_of
from wirepath.bench.nic_wire import NicWire

pytestmark = [pytest.mark.nic("igb", "virtio_net"), pytest.mark.since("7.3")]

PATIENCE_S = 60.0
_AT_IP = 14


def of_flow(number: int, size: int = 1000) -> bytes:
    """A known frame whose source address differs from that of its neighbours: a NIC chooses the queue by its hash."""
    data = bytearray(frame(number, size))
    data[_AT_IP + 10 : _AT_IP + 14] = struct.pack(">HBB", 0, 10, 77)
    data[_AT_IP + 14 : _AT_IP + 16] = struct.pack(">H", 256 + number % 251)
    data[_AT_IP + 10 : _AT_IP + 12] = struct.pack(">H", checksum(bytes(data[_AT_IP : _AT_IP + 20])))
    return bytes(data)


@pytest.fixture
def sender(wire: NicWire) -> Iterator[Sender]:
    with Sender(wire.near) as made:
        yield made


def opened(wire: NicWire, **options: int | str) -> wp.Capture:
    return wp.open(
        wire.far.name,
        engine="af_xdp",
        netns=wire.far.namespace.path,
        **{"mode": "zero_copy", "xdp_mode": "native"} | options,
    )


def assert_granted(capture: wp.Capture) -> None:
    """What the kernel said of each queue's socket when it was asked (XDP_OPTIONS)."""
    for source in capture.sources:
        granted = {one.name: one.granted for one in source.granted}
        assert (granted["mode"], granted["xdp_mode"]) == ("zero_copy", "native")


def assert_whole(capture: wp.Capture) -> None:
    """Each frame of each queue is with the kernel or with a batch."""
    for frames in capture.frames():
        assert frames is not None
        assert frames.with_kernel + frames.leased == frames.total, frames


def receive(capture: wp.Capture, count: int) -> list[tuple[int, bytes]]:
    """(queue, bytes) of the next `count` packets, or of those that came in time."""
    rows: list[tuple[int, bytes]] = []
    until = time.monotonic() + PATIENCE_S
    while len(rows) < count and time.monotonic() < until:
        if (batch := capture.receive(0.2)) is not None:
            rows += [(int(queue), bytes(batch.data(row))) for row, queue in enumerate(batch.queue)]
    return rows


def numbers(rows: list[tuple[int, bytes]]) -> list[int | None]:
    return [number_of(data) for _, data in rows]


def set_channels(wire: NicWire, count: int) -> None:
    with wire.far.namespace.entered():
        done = subprocess.run(
            ["ethtool", "-L", wire.far.name, "combined", str(count)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0 or wire.far.receive_queues() == count, done.stderr
    wire.settle()


@pytest.fixture(params=[1, 2, 4])
def channels(request: pytest.FixtureRequest, wire: NicWire, driver: str) -> Iterator[int]:
    if driver == "virtio_net" and request.param > 1:
        pytest.skip("cannot run here: QEMU's hub gives virtio-net one queue")
    before = wire.far.receive_queues()
    set_channels(wire, request.param)
    yield request.param
    set_channels(wire, before)


def test_every_queue(wire: NicWire, sender: Sender, channels: int) -> None:
    """Each queue has its socket in zero-copy, gets packets, and together they get each packet once, whole."""
    frames = [of_flow(number) for number in range(1000)]
    with opened(wire) as capture:
        wire.settle()
        assert [source.queue for source in capture.sources] == list(range(channels))
        assert_granted(capture)
        rows: list[tuple[int, bytes]] = []
        for start in range(0, len(frames), 100):
            sender.send(frames[start : start + 100])
            rows += receive(capture, 100)
        assert_whole(capture)
        stats = capture.stats()
    assert sorted(data for _, data in rows) == sorted(frames)
    assert {queue for queue, _ in rows} == set(range(channels)), "some queue got no packet: this proves nothing"
    assert (stats.received, stats.copied, stats.dropped_ring, stats.dropped_fill) == (len(frames), 0, 0, 0)


def test_no_frame_is_lost(wire: NicWire, sender: Sender, channels: int) -> None:
    """While batches are held for some time and let go of in any order, for many times as many packets as frames."""
    chance = random.Random(7)
    with opened(wire, ring_size=256, frames=512) as capture:
        wire.settle()
        assert_granted(capture)
        held: list[object] = []
        number = received = 0
        while number < 10 * 512 * channels:
            sender.send([of_flow(number + each, 200) for each in range(64)])
            number += 64
            while (batch := capture.receive(0.05)) is not None:
                received += len(batch)
                held.append(batch.payload)
            chance.shuffle(held)
            del held[chance.randrange(1, 8) :]
            assert_whole(capture)
        held.clear()
        assert capture.receive(0.2) is None  # what was let go of comes back
        assert_whole(capture)
        assert all(frames is not None and frames.leased == 0 for frames in capture.frames())
        stats = capture.stats()
    lost = sum(each or 0 for each in (stats.dropped_ring, stats.dropped_fill, stats.dropped_nic))
    assert received + lost == number
    assert received > 0.9 * number


def test_overflow_loses_no_frame(wire: NicWire, sender: Sender) -> None:
    """Packets for which there is no room are counted, and their frames are used again."""
    with opened(wire, ring_size=64, frames=512) as capture:
        wire.settle()
        for turn in range(10):
            sender.send([of_flow(1000 * turn + each, 200) for each in range(500)])
            time.sleep(0.1)
            while capture.receive(0.1) is not None:
                pass
            assert_whole(capture)
            sender.send([of_flow(10**6 + turn)])
            assert numbers(receive(capture, 1)) == [10**6 + turn]
        assert_whole(capture)


def _pinned_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmPin:"))


def test_many_openings(wire: NicWire, sender: Sender, request: pytest.FixtureRequest) -> None:
    """Each gets zero-copy and a packet, and leaves no page pinned."""
    for turn in range(request.config.getoption("--opens")):
        with opened(wire) as capture:
            wire.settle()
            assert_granted(capture)
            sender.send([of_flow(turn)])
            assert numbers(receive(capture, 1)) == [turn]
            assert_whole(capture)
    assert not wire.far.has_xdp()
    until = time.monotonic() + PATIENCE_S
    while _pinned_kib() and time.monotonic() < until:  # the kernel lets go of it in the background
        time.sleep(0.1)
    assert _pinned_kib() == 0


def _overflow_again_and_again(capture: wp.Capture, sender: Sender) -> None:
    for turn in range(20):
        sender.send([of_flow(1000 * turn + each, 200) for each in range(500)])
        time.sleep(0.1)
        while capture.receive(0.1) is not None:
            pass
        sender.send([of_flow(10**6 + turn)])
        capture.receive(1)


@pytest.mark.nic("igb")
def test_a_frame_handed_over_twice_is_told(wire: NicWire, sender: Sender) -> None:
    """igb does so when its ring has more descriptors (256) than there are frames. It must not pass for packets."""
    with opened(wire, ring_size=64, frames=128) as capture:
        wire.settle()
        with pytest.raises(wp.SystemCallError, match="twice"):
            _overflow_again_and_again(capture, sender)
        with pytest.raises(wp.SystemCallError, match="twice"):  # nor be forgotten
            capture.receive(0)
