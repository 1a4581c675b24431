# SPDX-License-Identifier: Apache-2.0
"""The lab itself: its counters are what the accounts rest on."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

import pytest

from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import LEFT_ADDRESS, RIGHT_ADDRESS, Lab, Wire
from wirepath.bench.link import Link

ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA = 3, 263, 8


def tap(link: Link) -> socket.socket:
    with link.namespace.entered():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.bind((link.name, 0))
    made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    made.settimeout(5)
    return made


def test_generator_and_link_count_alike(wire: Wire) -> None:
    with Sender(wire.near) as sender:
        assert sender.send(frame(number) for number in range(5000)) == 5000
    sent = wire.sent()
    assert sent.sent == 5000
    assert sent.delivered + sent.dropped_backlog == 5000


@pytest.mark.parametrize("polls", [False, True])
def test_refused_frames_are_counted(wire: Wire, polls: bool) -> None:
    """Frames that the far end does not take are the link's loss, under the name of how it receives."""
    wire.far.offload(gro=polls)
    assert wire.far.polls() is polls
    with Sender(wire.near) as sender:
        sender.send([frame(0)])
        wire.far.set(state="down")
        sender.send(frame(number) for number in range(10))
    sent = wire.sent()
    assert sent.sent == 11
    assert (sent.dropped_link, sent.dropped_backlog) == ((10, 0) if polls else (0, 10))


def test_frames_arrive_as_sent(wire: Wire) -> None:
    frames = [frame(number, size) for number, size in enumerate((58, 64, 1514, 9014))]
    with tap(wire.far) as far, Sender(wire.near) as sender:
        sender.send(frames)
        got = [far.recv(65536) for _ in frames]
    assert got == frames
    assert [number_of(data) for data in got] == [0, 1, 2, 3]


@pytest.mark.wire(relay=True)
def test_relay_moves_the_tag_into_metadata(wire: Wire) -> None:
    with tap(wire.far) as far, Sender(wire.near) as sender:
        sender.send([frame(0, tags=((0x8100, 100),))])
        data, ancillary, _, _ = far.recvmsg(65536, 256)
    assert data == frame(0)
    tci, tpid = struct.unpack_from("<HH", ancillary[0][2], 16)
    assert (tci, tpid) == (100, 0x8100)


def test_mirror_sees_both_directions_once(lab: Lab) -> None:
    with lab.left.namespace.entered():
        left = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab.right.namespace.entered():
        right = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with left, right, tap(lab.monitor) as monitor:
        right.bind((RIGHT_ADDRESS, 5353))
        right.settimeout(5)
        for _ in range(50):
            left.sendto(b"question", (RIGHT_ADDRESS, 5353))
            right.sendto(b"answer", right.recvfrom(100)[1])
        time.sleep(0.1)
        sent = lab.sent()
        frames = [monitor.recv(65536) for _ in range(sent.sent)]
    udp = [data for data in frames if data[12:14] == b"\x08\x00"]
    assert sum(data[26:30] == socket.inet_aton(LEFT_ADDRESS) for data in udp) == 50
    assert sum(data[26:30] == socket.inet_aton(RIGHT_ADDRESS) for data in udp) == 50
    assert sent.delivered == sent.sent == len(frames)


def test_nothing_outlives_the_lab() -> None:
    with Wire() as wire:
        namespace = Path(wire.far.namespace.path)
        assert namespace.exists()
    assert not namespace.exists()
