# SPDX-License-Identifier: Apache-2.0
"""What only AF_XDP has: modes, queues, frames that circulate, a program on the interface."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import Wire

ENGINE = next(engine for engine in wp.engines() if engine.name == "af_xdp")
pytestmark = pytest.mark.skipif(not ENGINE.usable, reason=f"cannot run here: {ENGINE.reason}")
MODES = ("native", "generic")
ETH_P_ALL = 3


@pytest.fixture
def sender(wire: Wire) -> Iterator[Sender]:
    with Sender(wire.near) as made:
        yield made


def open_on(wire: Wire, **options: Any) -> wp.Capture:
    return wp.open(wire.far.name, engine="af_xdp", netns=wire.far.namespace.path, **options)


def granted(capture: wp.Capture) -> dict[str, str]:
    return {item.name: item.granted for item in capture.sources[0].granted}


def numbers(capture: wp.Capture, count: int) -> list[int | None]:
    """Of the next `count` packets, or of what came of them in time."""
    found: list[int | None] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        if batch is not None:
            found += [number_of(bytes(batch.data(row))) for row in range(len(batch))]
    return found


@pytest.mark.parametrize("xdp_mode", MODES)
def test_mode_granted(wire: Wire, xdp_mode: str) -> None:
    with open_on(wire, xdp_mode=xdp_mode) as capture:
        assert capture.mode == f"copy, {xdp_mode} XDP"
        assert granted(capture)["mode"] == "copy"
        assert granted(capture)["xdp_mode"] == xdp_mode
        assert wire.far.has_xdp()
    assert not wire.far.has_xdp()


def test_native_where_the_driver_has_it(wire: Wire) -> None:
    with open_on(wire) as capture:
        assert capture.mode == "copy, native XDP"


def test_zero_copy_is_refused_by_name(wire: Wire) -> None:
    """veth has none; nothing is left of the attempt."""
    with pytest.raises(wp.UnsupportedError, match="driver veth has no zero-copy"):
        open_on(wire, mode="zero_copy")
    assert not wire.far.has_xdp()


@pytest.mark.parametrize("xdp_mode", MODES)
def test_interface_with_a_program(wire: Wire, xdp_mode: str) -> None:
    """It is named, and stays as it was."""
    with open_on(wire, xdp_mode=xdp_mode):
        with pytest.raises(wp.BusyError, match=rf"{wire.far.name}, which has an XDP program already: take\w*, id \d+"):
            open_on(wire)
        assert wire.far.has_xdp()


def test_says_what_it_takes(wire: Wire) -> None:
    with open_on(wire, filter="udp") as capture:
        source = capture.sources[0]
        assert source.takes_packets
        assert capture.filtered_by == "xdp"
        capture.set_filter("")
        assert capture.filtered_by == "none"


@pytest.mark.parametrize("xdp_mode", MODES)
def test_passes_on_what_the_filter_rejects(wire: Wire, sender: Sender, xdp_mode: str) -> None:
    """To a tap of the same interface; and it is counted."""
    frames = [frame(number, port=53 if number % 4 == 0 else 80) for number in range(40)]
    with wire.far.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((wire.far.name, ETH_P_ALL))
        tap.settimeout(0.3)
        with open_on(wire, xdp_mode=xdp_mode, filter="udp dst port 53") as capture:
            sender.send(frames)
            assert numbers(capture, 10) == list(range(0, 40, 4))
            assert all_at(tap) == [number for number in range(40) if number % 4]
            assert capture.stats().filtered == 30
            capture.set_filter("udp dst port 80")
            sender.send(frames)
            assert numbers(capture, 30) == [number for number in range(40) if number % 4]
            assert all_at(tap) == list(range(0, 40, 4))
        assert capture.stats().filtered == 40


def test_filters_in_the_pipeline_what_xdp_cannot(wire: Wire, sender: Sender) -> None:
    """Jumps that are too long for eBPF: every packet is taken then."""
    loads = [f"ether[{at}:{size}] != 77" for at in range(50, 1500) for size in (2, 4)]
    with open_on(wire, filter="udp") as capture:
        capture.set_filter(" and ".join(loads))
        assert capture.filtered_by == "pipeline"
        sender.send([frame(number, 1514) for number in range(3)])
        assert numbers(capture, 3) == [0, 1, 2]
        capture.set_filter("tcp")
        assert capture.filtered_by == "xdp"


@pytest.mark.parametrize("xdp_mode", MODES)
def test_takes_packets_from_the_stack(wire: Wire, sender: Sender, xdp_mode: str) -> None:
    """A tap of the same interface sees none of them, and all again when the capture is closed."""
    with wire.far.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((wire.far.name, ETH_P_ALL))
        tap.settimeout(0.3)
        with open_on(wire, xdp_mode=xdp_mode) as capture:
            sender.send([frame(number) for number in range(10)])
            assert numbers(capture, 10) == list(range(10))
            with pytest.raises(TimeoutError):
                tap.recv(2048)
        sender.send([frame(99)])
        assert number_of(tap.recv(2048)) == 99


def all_at(tap: socket.socket) -> list[int | None]:
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            found.append(number_of(tap.recv(2048)))
    return found


# The sending end chooses a queue by the hash of addresses and ports.
FLOWS = [frame(number, port=1000 + number) for number in range(64)]


@pytest.mark.wire(queues=2)
@pytest.mark.parametrize("queue", [0, 1])
def test_one_queue_of_two(wire: Wire, sender: Sender, queue: int) -> None:
    """The other one's packets go on to the stack, and the capture says which queue that is."""
    with wire.far.namespace.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((wire.far.name, ETH_P_ALL))
        tap.settimeout(0.5)
        with open_on(wire, queues=queue) as capture:
            assert [source.queue for source in capture.sources] == [queue]
            assert f"receive queues that are not captured: {1 - queue}" in capture.sources[0].notes
            sender.send(FLOWS)
            passed = all_at(tap)
            captured = numbers(capture, len(FLOWS) - len(passed))
    assert passed
    assert captured
    assert sorted(number for number in passed + captured if number is not None) == list(range(len(FLOWS)))


@pytest.mark.wire(queues=4)
@pytest.mark.parametrize("xdp_mode", MODES)
def test_every_queue_by_default(wire: Wire, sender: Sender, xdp_mode: str) -> None:
    with open_on(wire, xdp_mode=xdp_mode) as capture:
        assert [source.queue for source in capture.sources] == [0, 1, 2, 3]
        sender.send(FLOWS)
        seen: dict[int, int] = {}
        until = time.monotonic() + 10
        while len(seen) < len(FLOWS) and time.monotonic() < until:
            batch = capture.receive(0.2)
            for row in range(len(batch) if batch is not None else 0):
                seen[number_of(bytes(batch.data(row)))] = int(batch.queue[row])
    assert sorted(seen) == list(range(len(FLOWS)))
    # Without NAPI a veth hands the sender's queue on as if it counted from 1, so that the last one stays empty.
    assert set(seen.values()) >= ({0, 1, 2, 3} if xdp_mode == "native" else {0, 1, 2})


@pytest.mark.wire(queues=2)
@pytest.mark.parametrize(("queues", "hint"), [("2", "has 2 receive queues"), ("0,x", "0,2-3"), ("1-0", "0,2-3")])
def test_queues_that_are_not_there(wire: Wire, queues: str, hint: str) -> None:
    with pytest.raises(wp.OptionError, match=re.escape(hint)):
        open_on(wire, queues=queues)


@pytest.mark.parametrize(
    "options",
    [{"ring_size": 1000}, {"frame_size": 3000}, {"frame_size": 1024}, {"frames": 1}, {"batch": 0}, {"mode": "fast"}],
)
def test_options_that_cannot_be(wire: Wire, options: dict[str, Any]) -> None:
    with pytest.raises(wp.OptionError, match=next(iter(options))):
        open_on(wire, **options)


@pytest.mark.wire(mtu=9000)
def test_jumbo_without_fragments(wire: Wire) -> None:
    with pytest.raises(wp.UnsupportedError, match="MTU of 9000"):
        open_on(wire, fragments="off")
    assert not wire.far.has_xdp()


@pytest.mark.wire(mtu=1500)
def test_small_frames_without_fragments(wire: Wire, sender: Sender) -> None:
    with open_on(wire, fragments="off") as capture:
        assert granted(capture)["fragments"] == "off"
        sender.send([frame(0, 1514)])
        assert numbers(capture, 1) == [0]


@pytest.mark.wire(mtu=9000)
@pytest.mark.parametrize("xdp_mode", MODES)
def test_fragments_are_made_linear_and_counted(wire: Wire, sender: Sender, xdp_mode: str) -> None:
    """In the order of the wire between packets of one frame, which are not copied."""
    sizes = [9014, 64, 1514, 9014, 4000, 64]
    frames = [frame(number, size) for number, size in enumerate(sizes)]
    with open_on(wire, xdp_mode=xdp_mode) as capture:
        rows: list[bytes] = []
        for data in frames:
            sender.send([data])
            batch = capture.receive(5)
            assert batch is not None
            rows += [bytes(batch.data(row)) for row in range(len(batch))]
        assert rows == frames
        stats = capture.stats()
    assert stats.copied == sum(size > 3800 for size in sizes)
    assert stats.copied_bytes == sum(size for size in sizes if size > 3800)


@pytest.mark.wire(mtu=9000)
def test_snaplen_cuts_fragments(wire: Wire, sender: Sender) -> None:
    with open_on(wire, snaplen=5000) as capture:
        data = frame(7, 9014)
        sender.send([data])
        batch = capture.receive(5)
        assert batch is not None
        assert bytes(batch.data(0)) == data[:5000]
        assert int(batch.origlen[0]) == 9014


def test_busy_polling(wire: Wire, sender: Sender) -> None:
    with open_on(wire, busy_poll_us=50, busy_poll_budget=16, prefer_busy_poll=True) as capture:
        assert granted(capture)["busy_poll_us"] == "50 us"
        assert granted(capture)["prefer_busy_poll"] == "on"
        sender.send([frame(number) for number in range(100)])
        assert numbers(capture, 100) == list(range(100))


@pytest.mark.parametrize("options", [{"need_wakeup": False}, {"timestamps": "batch"}, {"headroom": 256}, {"batch": 1}])
def test_options_that_change_no_packet(wire: Wire, sender: Sender, options: dict[str, Any]) -> None:
    frames = [frame(number, 60 + number) for number in range(100)]
    with open_on(wire, **options) as capture:
        sender.send(frames)
        assert numbers(capture, 100) == list(range(100))


SOL_UDP, UDP_SEGMENT = 17, 103
GSO = 1 << 8


@pytest.mark.parametrize(("xdp_mode", "sizes"), [("native", [1042] * 40), ("generic", [40042])])
def test_segments_that_the_sender_left_to_offload(wire: Wire, xdp_mode: str, sizes: list[int]) -> None:
    """One packet of 40 kB comes as what it is, and says so; a native program has the sender split it."""
    wire.near.add_address("10.98.0.1", 24)
    wire.near.offload(tx=True, sg=True, gso=True)
    with wire.near.namespace.routes() as routes:
        routes.neigh("add", dst="10.98.0.2", lladdr="02:00:00:00:00:02", ifindex=wire.near.index)
        routes.link("set", index=wire.near.index, mtu=1500)
    with wire.near.namespace.entered():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(SOL_UDP, UDP_SEGMENT, 1000)
    udp.connect(("10.98.0.2", 9))
    wire.far.set(mtu=1500)
    with udp, open_on(wire, xdp_mode=xdp_mode, filter="udp") as capture:
        udp.send(bytes(40_000))
        got: list[tuple[int, int]] = []
        while len(got) < len(sizes) and (batch := capture.receive(5)) is not None:
            got += zip(batch.caplen.tolist(), batch.flags.tolist(), strict=True)
    assert [size for size, _ in got] == sizes
    assert [bool(flags & GSO) for _, flags in got] == [size > 1536 for size in sizes]


def free_huge_pages() -> int:
    return int(re.search(r"HugePages_Free:\s+(\d+)", Path("/proc/meminfo").read_text())[1])  # type: ignore[index]


def test_huge_pages(wire: Wire, sender: Sender) -> None:
    """Where some are reserved they are used; else the error says how to reserve them."""
    if free_huge_pages() < 4:
        with pytest.raises(wp.WirepathError, match=r"vm\.nr_hugepages=") as refused:
            open_on(wire, huge_pages=True)
        assert not wire.far.has_xdp(), refused
        return
    with open_on(wire, huge_pages=True, ring_size=1024) as capture:
        sender.send([frame(number) for number in range(10)])
        assert numbers(capture, 10) == list(range(10))


def hold_some(capture: wp.Capture, sender: Sender, rounds: int) -> None:
    """Views of batches, let go in any order."""
    held: list[Any] = []
    choose = random.Random(2)
    for turn in range(rounds):
        sender.send([frame(turn * 50 + number) for number in range(50)])
        batch = capture.receive(0.2)
        if batch is not None:
            held.append(batch.payload)
        while held and choose.random() < 0.55:
            held.pop(choose.randrange(len(held)))


def receive_all(capture: wp.Capture) -> None:
    while capture.receive(0.2) is not None:
        pass


def lost(stats: wp.Stats) -> int:
    return (stats.dropped_ring or 0) + (stats.dropped_fill or 0)


@pytest.mark.parametrize("xdp_mode", MODES)
def test_no_frame_is_lost_in_use(wire: Wire, sender: Sender, xdp_mode: str) -> None:
    """A frame that got lost would be one packet less that finds room, when nobody receives."""
    with open_on(wire, xdp_mode=xdp_mode, ring_size=256, frames=256) as capture:
        hold_some(capture, sender, 300)
        receive_all(capture)
        before = capture.stats()
        sender.send([frame(number) for number in range(1000)])
        time.sleep(0.3)
        after = capture.stats()
    assert lost(after) - lost(before) == 1000 - 256


def test_lent_frames_survive_the_capture(wire: Wire, sender: Sender) -> None:
    """close() gives back what nobody looks at any more, and nothing else."""
    frames = [frame(number, 1500) for number in range(200)]
    views: list[tuple[Any, bytes]] = []
    with open_on(wire) as capture:
        for data in frames:
            sender.send([data])
            batch = capture.receive(5)
            assert batch is not None
            if len(views) < 20 and len(batch) == 1:
                views.append((batch.data(0), data))
    assert views
    for view, data in views:
        assert bytes(view) == data


_OUTSIDE = """
import wirepath as wp
engine = next(engine for engine in wp.engines() if engine.name == "af_xdp")
print(engine.usable, engine.reason)
"""


def without_privilege(command: Sequence[str]) -> str:
    probe = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"user namespaces are refused here: {probe.stderr.strip()}")
    return subprocess.run(["unshare", "-Urn", *command], capture_output=True, text=True, check=True).stdout


def test_user_namespace(wire: Wire) -> None:
    """BPF is refused there: the engine stays in the list, and names the remedy."""
    said = without_privilege([sys.executable, "-c", _OUTSIDE])
    assert said.startswith("False loading the XDP program"), said
    assert "sudo" in said
