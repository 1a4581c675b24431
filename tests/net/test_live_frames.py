# SPDX-License-Identifier: Apache-2.0
"""What only sending with the engine `ebpf` has: a driver that takes frames from XDP or not, and says so afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import wirepath as wp
from wirepath.bench.frames import frame, number_of
from wirepath.bench.lab import Wire
from wirepath.bench.namespace import Namespace

ENGINE = next(engine for engine in wp.engines() if engine.name == "ebpf")
pytestmark = pytest.mark.skipif(not ENGINE.usable, reason=f"cannot run here: {ENGINE.reason}")
LONGEST = 3360  # of a live frame


@pytest.fixture
def polling(wire: Wire) -> Wire:
    """A wire whose far end receives through NAPI."""
    wire.far.offload(gro=True)
    return wire


def open_on(wire: Wire, **options: object) -> wp.Sender:
    return wp.open_sender(wire.near.name, "ebpf", netns=wire.near.namespace.path, **options)


def received(capture: wp.Capture, count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count and (batch := capture.receive(5)) is not None:
        frames += [bytes(packet.data) for packet in batch]
    return frames


def test_needs_napi_at_the_other_end(wire: Wire) -> None:
    """Said when it is opened, and where it is lost later; with it back, sending goes on."""
    with pytest.raises(wp.UnsupportedError, match="ethtool -K PEER gro on"), open_on(wire) as sender:
        sender.send([frame(1)])  # where the kernel does not tell before
    wire.far.offload(gro=True)
    with open_on(wire) as sender:
        assert sender.send([frame(1)]) == 1
        wire.far.offload(gro=False)
        with pytest.raises(wp.UnsupportedError, match="takes no frames from XDP"):
            sender.send([frame(2)])
        wire.far.offload(gro=True)
        assert sender.send([frame(3)]) == 1
        assert (sender.stats().queued, sender.stats().errors) == (2, 0)


def test_loopback_cannot(wire: Wire) -> None:
    with pytest.raises(wp.UnsupportedError, match="lo: its driver"):
        wp.open_sender("lo", "ebpf", netns=wire.near.namespace.path).send([frame(1)])


@pytest.mark.wire(mtu=9000)
def test_longest_frame(polling: Wire) -> None:
    """A page is all that a live frame has."""
    with (
        wp.open(polling.far.name, engine="socket", netns=polling.far.namespace.path) as capture,
        open_on(polling) as sender,
    ):
        assert any(f"more than {LONGEST} bytes" in note for note in sender.info.notes)
        frames = [frame(1, LONGEST), frame(2, LONGEST + 1), frame(3, 60), frame(4, LONGEST)]
        assert sender.send(frames) == 4
        assert received(capture, 3) == [frames[0], frames[2], frames[3]]
        assert (sender.stats().queued, sender.stats().errors, sender.stats().too_big) == (3, 1, 1)


def test_mtu_lowered_while_sending(polling: Wire) -> None:
    """The kernel then refuses one frame, in the midst of others."""
    with (
        wp.open(polling.far.name, engine="socket", netns=polling.far.namespace.path) as capture,
        open_on(polling) as sender,
    ):
        polling.near.set(mtu=1000)
        frames = [frame(number, 1400 if number == 20 else 100) for number in range(50)]
        assert sender.send(frames) == 50
        assert received(capture, 49) == frames[:20] + frames[21:]
        assert (sender.stats().queued, sender.stats().errors, sender.stats().too_big) == (49, 1, 1)


@contextmanager
def _polled_elsewhere(wire: Wire) -> Iterator[wp.Capture]:
    """A capture of the far end, which is polled by a thread of its own, on another CPU: slower than frames are sent."""
    cpus = os.sched_getaffinity(0)
    there = {"netns": wire.far.namespace.path, "poll": "keep", "threaded": "on", "block_nr": 256}
    with wp.open(wire.far.name, engine="napi", **there) as capture:
        pollers = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/comm") if _polls(path, wire.far.name)]
        if not pollers:
            pytest.skip("cannot run here: this kernel does not poll a veth in a thread")
        try:
            os.sched_setaffinity(0, {min(cpus)})
            for thread in pollers:
                os.sched_setaffinity(thread, {max(cpus)})
            yield capture
        finally:
            os.sched_setaffinity(0, cpus)


def _polls(comm: Path, interface: str) -> bool:
    try:
        return comm.read_text(encoding="ascii").startswith(f"napi/{interface}-")
    except OSError:
        return False


def test_full_ring_keeps_the_order(polling: Wire) -> None:
    """What the driver had no room for is offered again, before what comes behind it."""
    frames = [frame(number) for number in range(20_000)]
    with _polled_elsewhere(polling) as capture, open_on(polling) as sender:
        assert sender.send(frames) == len(frames)
        stats = sender.stats()
        assert stats.retries > 0, "the ring was never full: nothing is tested"
        assert stats.queued + stats.errors == len(frames), "an error where nothing was polled for too long"
        numbers = [number_of(data) for data in received(capture, stats.queued)]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == stats.queued


def test_moved_to_another_namespace(polling: Wire) -> None:
    """It is the interface that was opened, or none: never the one that has its number elsewhere."""
    with open_on(polling) as sender, Namespace("other") as other:
        assert sender.send([frame(1)]) == 1
        fd = os.open(other.path, os.O_RDONLY)
        polling.near.set(net_ns_fd=fd)
        os.close(fd)
        with pytest.raises(wp.InterfaceGoneError, match="gen0 has disappeared"):
            sender.send([frame(2)])


def _programs() -> str:
    return subprocess.run(["bpftool", "prog", "show"], capture_output=True, text=True, check=True).stdout


def test_killed(polling: Wire) -> None:
    """kill -9 leaves no program behind."""
    flow = "udp 10.0.0.1:1 > 10.0.0.2:2"
    words = ["--flow", flow, "--duration", "60", "--target-mac", "02:00:00:00:00:01", "--engine", "ebpf"]
    place = ["-i", polling.near.name, "--netns", polling.near.namespace.path]
    before = polling.far.counters().rx_packets
    command = [sys.executable, "-m", "wirepath", "send", *words, *place]
    until = time.monotonic() + 20
    with subprocess.Popen(command) as process:
        while polling.far.counters().rx_packets - before < 1000 and time.monotonic() < until:
            time.sleep(0.02)
        running = _programs()
        process.kill()
    assert "wirepath_send" in running
    while "wirepath_send" in _programs() and time.monotonic() < until:
        time.sleep(0.05)
    assert "wirepath_send" not in _programs()
    with open_on(polling) as sender:
        assert sender.send([frame(1)]) == 1


def test_without_a_namespace_of_its_own(polling: Wire) -> None:
    """Who may not make one sends one frame a call, and is told."""
    code = (
        "import wirepath as wp\n"
        "from wirepath.bench.frames import frame\n"
        f"with wp.open_sender({polling.near.name!r}, 'ebpf') as sender:\n"
        "    print(sender.send([frame(n) for n in range(100)]), sender.info.mode, *sender.info.notes)\n"
    )
    with (
        wp.open(polling.far.name, engine="socket", netns=polling.far.namespace.path) as capture,
        polling.near.namespace.entered(),
    ):
        ran = subprocess.run(
            ["setpriv", "--inh-caps=-sys_admin", "--bounding-set=-sys_admin", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        assert "100 live frames, one a call" in ran.stdout
        assert "CAP_SYS_ADMIN" in ran.stdout
        assert received(capture, 100) == [frame(number) for number in range(100)]


def test_forked_child_leaves_it_alone(polling: Wire) -> None:
    with open_on(polling) as sender:
        child = os.fork()
        if child == 0:
            sender.interrupt()
            os._exit(0)
        os.waitpid(child, 0)
        assert sender.send([frame(1)]) == 1
