# SPDX-License-Identifier: Apache-2.0
"""What a capture of an interface leaves in its file."""

from __future__ import annotations

import struct
import threading
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from unit import capture_files as cf
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire

VLAN, SERVICE_VLAN = 0x8100, 0x88A8
LINUX_COOKED_2 = 276
TAGGED = [
    frame(0, 200, tags=((VLAN, 0x2064),)),
    frame(1, 200),
    frame(2, 200, tags=((SERVICE_VLAN, 7), (VLAN, 100))),
]


def captured(wire: Wire, frames: list[bytes], writer: wp.FileSink, target: str | None = None, **options: Any) -> None:
    with wp.open(target or wire.far.name, netns=wire.far.namespace.path, **options) as capture:
        run = threading.Thread(target=wp.run, args=(capture, writer), kwargs={"count": len(frames), "seconds": 10})
        run.start()
        with Sender(wire.near) as sender:
            sender.send(frames)
        run.join()
    assert writer.packets == len(frames)


@pytest.mark.wire(relay=True)
@pytest.mark.parametrize("engine", ["socket", "tpacket_v3", "pcap"])
@pytest.mark.parametrize("writer", [wp.PcapWriter, wp.PcapngWriter])
def test_tags_from_metadata_are_in_the_bytes(wire: Wire, tmp_path: Path, engine: str, writer: Any) -> None:
    captured(wire, TAGGED, writer(tmp_path / "out"), engine=engine)
    with wp.open(tmp_path / "out") as capture:
        packets = [packet for batch in capture for packet in batch]
    assert [packet.data for packet in packets] == TAGGED
    assert [packet.origlen for packet in packets] == [len(data) for data in TAGGED]
    assert {packet.vlan_tpid for packet in packets} == {0}


@pytest.mark.wire(relay=True)
@pytest.mark.parametrize("snaplen", [13, 14, 60])
def test_a_tag_counts_as_captured(wire: Wire, tmp_path: Path, snaplen: int) -> None:
    captured(wire, TAGGED, wp.PcapWriter(tmp_path / "out"), engine="socket", snaplen=snaplen)
    records = cf.pcap_records((tmp_path / "out").read_bytes())
    assert [(record.data, record.origlen) for record in records] == [(data[:snaplen], len(data)) for data in TAGGED]


@pytest.mark.wire(relay=True)
def test_a_tag_in_linux_cooked_packets(wire: Wire, tmp_path: Path) -> None:
    frames = TAGGED[:2]  # of two tags, the kernel gives a cooked packet the innermost protocol
    captured(wire, frames, wp.PcapngWriter(tmp_path / "out"), target="any", engine="socket")
    with wp.open(tmp_path / "out") as capture:
        assert capture.interfaces[0].linktype == LINUX_COOKED_2
        packets = [packet for batch in capture for packet in batch]
    assert [packet.data[0:2] for packet in packets] == [data[12:14] for data in frames]  # the outer protocol
    assert [packet.data[20:] for packet in packets] == [data[14:] for data in frames]
    assert [packet.origlen for packet in packets] == [len(data) + 20 - 14 for data in frames]


def test_what_a_file_says_of_its_capture(wire: Wire, tmp_path: Path) -> None:
    frames = [frame(number, 100) for number in range(50)]
    captured(wire, frames, wp.PcapngWriter(tmp_path / "out", comments=["ours"]), engine="socket", filter="not arp")
    blocks = cf.blocks((tmp_path / "out").read_bytes())
    assert [block.kind for block in blocks] == [cf.SECTION, cf.INTERFACE, *[cf.PACKET] * 50, cf.STATISTICS]
    section, interface = dict(blocks[0].options), dict(blocks[1].options)
    assert section[1] == b"ours"
    assert section[3].startswith(b"Linux ")
    assert section[4].startswith(b"wirepath ")
    assert interface[2] == wire.far.name.encode()
    assert (interface[9], interface[11]) == (b"\x09", b"\0not arp")
    inbound = 1
    assert {struct.unpack("<I", dict(block.options)[2])[0] & 3 for block in blocks[2:-1]} == {inbound}
    numbers = {code: struct.unpack("<Q", value)[0] for code, value in blocks[-1].options}
    assert (numbers[7], numbers[8]) == (0, 50)  # lost by the system, delivered
