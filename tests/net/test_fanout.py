# SPDX-License-Identifier: Apache-2.0
"""Fanout: several receivers of one interface share what comes, by the kernel's rules or by a program."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from net.taps import FANOUT_TAPS, needs_sockets, open_on, packets
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import Wire

pytestmark = needs_sockets


def queues(capture: wp.Capture, count: int) -> dict[int, int]:
    """Which fanout member got each known frame; each came once."""
    found: dict[int, int] = {}
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        for row in range(len(batch) if batch is not None else 0):
            number = number_of(bytes(batch.data(row)))
            assert number is not None
            assert number not in found, "two members got the same packet"
            found[number] = int(batch.queue[row])
    assert len(found) == count
    return found


@pytest.mark.parametrize("engine", FANOUT_TAPS)
@pytest.mark.parametrize("kind", ["hash", "lb", "cpu", "rollover", "rnd", "qm"])
def test_fanout(wire: Wire, sender: Sender, engine: str, kind: str) -> None:
    """Each packet goes to one member, chosen as the type says."""
    count, members, flows = 1200, 3, 60
    with open_on(wire, engine, fanout=members, fanout_type=kind) as capture:
        assert len(capture.sources) == members
        assert f"by {kind}" in capture.mode
        sender.send(frame(number, port=number % flows) for number in range(count))
        found = queues(capture, count)
        assert capture.stats().received == count
    share = Counter(found.values())
    if kind == "lb":
        assert share == dict.fromkeys(range(members), count // members)
    elif kind in ("hash", "rnd"):
        assert len(share) == members
    elif kind in ("rollover", "qm"):
        assert len(share) == 1, "nothing was full, and the wire has one queue"
    if kind == "hash":
        assert all(found[number] == found[number % flows] for number in found), "a flow has one member"


@pytest.mark.parametrize("engine", FANOUT_TAPS)
def test_fanout_by_classic_program(wire: Wire, sender: Sender, engine: str) -> None:
    by_port = "2,40 0 0 22,22 0 0 0"  # ldh [22]; ret a: it sees the packet from its IP header on
    with open_on(wire, engine, fanout=3, fanout_type="cbpf", fanout_program=by_port) as capture:
        sender.send(frame(number, port=number % 7) for number in range(300))
        found = queues(capture, 300)
    assert all(member == number % 7 % 3 for number, member in found.items())


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[Path]:
    """A socket filter `r0 = 1; exit`, pinned."""
    mount = tmp_path / "bpf"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", mount], check=False, capture_output=True).returncode != 0:
        pytest.skip("cannot run here: no BPF file system can be mounted")
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0))
        name, licence = ctypes.create_string_buffer(os.fsencode(mount / "one")), ctypes.create_string_buffer(b"GPL")
        load = struct.pack("=IIQQ", 1, 2, ctypes.addressof(code), ctypes.addressof(licence)).ljust(128, b"\0")
        program = libc.syscall(321, 5, load, len(load))  # bpf(BPF_PROG_LOAD), x86-64
        if program < 0:
            pytest.skip(f"cannot run here: bpf: {os.strerror(ctypes.get_errno())}")
        pin = struct.pack("=QI", ctypes.addressof(name), program).ljust(128, b"\0")
        assert libc.syscall(321, 6, pin, len(pin)) == 0  # bpf(BPF_OBJ_PIN)
        os.close(program)
        yield mount / "one"
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="cannot run here: the number of bpf(2) is x86-64's")
def test_fanout_by_extended_program(wire: Wire, sender: Sender, pinned: Path) -> None:
    with open_on(wire, "tpacket_v3", fanout=2, fanout_type="ebpf", fanout_program=str(pinned)) as capture:
        sender.send(frame(number) for number in range(100))
        assert set(queues(capture, 100).values()) == {1}


def test_fanout_group_is_shared(wire: Wire, sender: Sender) -> None:
    """Two captures of one group share what comes."""
    with (
        open_on(wire, "tpacket_v3", fanout_group=4711, fanout_type="lb") as one,
        open_on(wire, "socket", fanout_group=4711, fanout_type="lb") as other,
    ):
        sender.send(frame(number) for number in range(200))
        found = [{number_of(bytes(packet.data)) for packet in packets(capture, 100)} for capture in (one, other)]
    assert [len(part) for part in found] == [100, 100]
    assert found[0] | found[1] == set(range(200))


def test_fanout_flags(wire: Wire, sender: Sender) -> None:
    with open_on(wire, "tpacket_v3", fanout=2, fanout_defrag=True, fanout_rollover=True) as capture:
        assert "defragmented" in capture.mode
        assert "rolling over" in capture.mode
        sender.send(frame(number) for number in range(50))
        assert len(queues(capture, 50)) == 50


@pytest.mark.parametrize(
    "options",
    [
        {"fanout": 0},
        {"fanout": 257},
        {"fanout_group": 65536},
        {"fanout_type": "best"},
        {"fanout_type": "cbpf"},
        {"fanout_program": "1,6 0 0 0"},
        {"fanout_type": "cbpf", "fanout_program": "2,6 0 0 0"},
        {"fanout_type": "cbpf", "fanout_program": "ret 0"},
    ],
)
def test_fanout_options_are_checked(wire: Wire, options: dict[str, Any]) -> None:
    with pytest.raises(wp.OptionError) as refused:
        open_on(wire, "tpacket_v3", **options)
    assert "fanout" in str(refused.value)
