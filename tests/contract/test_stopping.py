# SPDX-License-Identifier: Apache-2.0
"""Captures end at once, whatever happens to them, and leave nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from contract.subject import PATIENCE_S, Live, Recorded, Subject, collect, drain
from wirepath.bench.frames import frame
from wirepath.bench.lab import Wire
from wirepath.bench.nic_wire import NicWire


def _wait_until(true: Callable[[], bool], patience: float = PATIENCE_S) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()


def _seconds_until_interrupted(capture: Any) -> float:
    """How long a receive() that waits without end goes on after interrupt()."""
    ended: list[float] = []

    def receive() -> None:
        while capture.receive(None) is not None:
            pass
        ended.append(time.monotonic())

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    time.sleep(0.15)
    assert not ended, "nothing was sent, and receive() came back"
    asked = time.monotonic()
    capture.interrupt()
    thread.join(PATIENCE_S)
    assert ended, "receive() did not end"
    return ended[0] - asked


def _interrupted_at_once(capture: Any) -> bool:
    """Most times of ten: a busy machine may be late, but what only looks now and then is late half the time."""
    return sum(_seconds_until_interrupted(capture) < 0.05 for _ in range(10)) >= 8


def test_interrupt(live: Live) -> None:
    """While it waits for a packet that never comes; and once only."""
    with live.open() as capture:
        assert _interrupted_at_once(capture)
        live.send([frame(1)])
        assert [row.number for row in collect(capture, 1)] == [1]


def test_many_interrupts(live: Live) -> None:
    """However they fall, each ends a wait or is taken with another one, and none leaves the next wait spinning."""
    stop = threading.Event()

    def interrupt() -> None:
        while not stop.is_set():
            capture.interrupt()
            time.sleep(0)

    with live.open() as capture:
        thread = threading.Thread(target=interrupt)
        thread.start()
        until = time.monotonic() + 1
        while time.monotonic() < until:
            capture.receive(0.01)
        stop.set()
        thread.join()
        drain(capture)
        before = time.thread_time()
        assert capture.receive(0.5) is None
        assert time.thread_time() - before < 0.25, "it spins"


def test_interrupt_recorded(recorded: Recorded, tmp_path: Path) -> None:
    """While it waits for the rest of a file that somebody is still writing."""
    fifo = tmp_path / "stream.pcap"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    try:
        os.write(writer, recorded.contents([frame(0)]))
        with wp.open(fifo, engine=recorded.variant.engine) as capture:
            assert len(collect(capture, 1)) == 1
            assert _interrupted_at_once(capture)
    finally:
        os.close(writer)


def test_interrupt_a_run(live: Live) -> None:
    with live.open() as capture:
        asked = time.monotonic() + 0.4
        run = wp.run(capture, wp.CountSink(), seconds=60, progress=lambda *_: time.monotonic() >= asked)
        assert time.monotonic() - asked < 5
        assert run.end == "interrupted"


def test_timeout(live: Live) -> None:
    """A quiet interface gives None after the time asked for, neither much earlier nor without end."""
    with live.open() as capture:
        before = time.monotonic()
        assert capture.receive(0.3) is None
        assert 0.25 < time.monotonic() - before < 5
        before = time.monotonic()
        assert capture.receive(0) is None
        assert time.monotonic() - before < 1


def test_close_while_receiving(live: Live) -> None:
    """Another thread closes: the one that waits ends, with nothing or with ClosedError."""
    capture = live.open()
    ended = threading.Event()

    def receive() -> None:
        try:
            while capture.receive(None) is not None:
                pass
        except wp.ClosedError:
            pass
        ended.set()

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    time.sleep(0.3)
    capture.close()
    assert ended.wait(PATIENCE_S)
    with pytest.raises(wp.ClosedError):
        capture.receive(0)
    capture.close()


def _receive_for(capture: Any, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        capture.receive(0.2)


def _gone(capture: Any) -> None:
    """InterfaceGoneError comes, soon, and names the interface."""
    with pytest.raises(wp.InterfaceGoneError, match="mon0"):
        _receive_for(capture, PATIENCE_S)


def test_interface_down(live: Live) -> None:
    with live.open() as capture:
        live.send([frame(1)])
        assert len(collect(capture, 1)) == 1
        live.wire.far.set(state="down")
        _gone(capture)
    live.wire.far.set(state="up")
    live.wire.near.wait_until_it_sends()
    live.wire.far.wait_until_it_sends()
    with live.running([frame(2)]) as capture:
        assert [row.number for row in collect(capture, 1)] == [2]


def test_interface_deleted(live: Live) -> None:
    with live.open() as capture:
        live.wire.unplug()
        _gone(capture)
        capture.stats()


def test_interface_renamed(live: Live) -> None:
    """Same interface, other name: the capture goes on."""
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 2):
        pytest.skip("cannot run here: before Linux 6.2 only interfaces that are down can be renamed")
    with live.open() as capture:
        live.wire.far.set(ifname="mon9")
        live.sender.send([frame(1), frame(2)])
        assert [row.number for row in collect(capture, 2)] == [1, 2]


def test_namespace_deleted(live: Live) -> None:
    """The name of its own namespace goes, and the sender's namespace with all in it."""
    if isinstance(live.wire, NicWire):
        pytest.skip("cannot run here: a NIC outlives the namespace of the one at the other end")
    with live.open() as capture:
        live.sender.close()
        live.wire.close()
        _gone(capture)


def test_namespace_released(live: Live) -> None:
    """A closed capture keeps no namespace alive: the interface in it goes, and with it the other end of the pair."""
    capture = live.open()
    live.send([frame(1)])
    view = collect(capture, 1)
    capture.close()
    del capture
    live.wire.far.namespace.close()
    assert _wait_until(live.wire.far_came_free), "something still holds the namespace"
    assert len(view) == 1


def test_reopen(live: Live) -> None:
    """Each capture gets what was sent while it was open."""
    for turn in range(10):
        live.sender.send([frame(10_000 + turn)])
        live.wire.flush()
        with live.running([frame(turn * 10 + number) for number in range(10)]) as capture:
            assert [row.number for row in collect(capture, 10)] == [turn * 10 + number for number in range(10)]
            assert capture.stats().received == 10


def _count(directory: str) -> int:
    return sum(1 for _ in Path(directory).iterdir())


def _on_host(wire: Wire | NicWire) -> dict[str, int]:
    """What the interface has on it."""
    with wire.far.namespace.entered():
        sockets = Path("/proc/thread-self/net/packet").read_text().count("\n")
    return {"packet sockets": sockets, "promiscuity": wire.far.promiscuity(), "xdp": wire.far.has_xdp()}


def _held_here() -> dict[str, int]:
    """What this process holds."""
    status = Path("/proc/self/status").read_text()
    return {
        "fds": _count("/proc/self/fd"),
        "mappings": Path("/proc/self/maps").read_text().count("\n"),
        "threads": _count("/proc/self/task"),
        "rss_kib": next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")),
        "bpf programs": _bpf_programs(),
    }


def _bpf_programs() -> int:
    """Of the whole machine (bpf(2), BPF_PROG_GET_NEXT_ID); 0 where that is not for us to know."""
    syscall_number = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
    if syscall_number is None:
        return 0
    libc = ctypes.CDLL(None)
    request = (ctypes.c_uint32 * 4)()
    count = 0
    while libc.syscall(syscall_number, 11, request, ctypes.sizeof(request)) == 0:
        request[0] = request[1]
        count += 1
    return count


def _open_and_close(subject: Subject, times: int) -> None:
    for number in range(times):
        with subject.running([frame(number)] if number % 10 == 0 else []) as capture:
            if number % 10 == 0:
                assert len(collect(capture, 1)) == 1


def test_no_leak(subject: Subject, request: pytest.FixtureRequest) -> None:
    """200 opens (--opens says another number) leave what 20 left."""

    def resources() -> dict[str, int]:
        return _held_here() | (_on_host(subject.wire) if isinstance(subject, Live) else {})

    _open_and_close(subject, 20)
    before = resources()
    _open_and_close(subject, request.config.getoption("--opens"))
    settled = _wait_until(lambda: _grown(before, resources()) == {}, patience=5)
    assert settled, _grown(before, resources())


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    allowed = {"rss_kib": 6144, "mappings": 8, "bpf programs": 40}  # programs: other captures may begin meanwhile
    return {name: after[name] - before[name] for name in before if after[name] - before[name] > allowed.get(name, 0)}


_VICTIM = """
import sys, wirepath as wp
name, engine, netns, *options = sys.argv[1:]
capture = wp.open(name, engine=engine, netns=netns, **dict(option.split("=") for option in options))
print("open", flush=True)
for batch in capture:
    print(len(batch), flush=True)
"""


def test_kill_9(live: Live) -> None:
    """Nothing stays: no packet socket, no promiscuity, no XDP program; and the next capture opens.

    What a library leaves there nevertheless, the next capture takes away.
    """
    before = _on_host(live.wire)
    options = [f"{name}={value}" for name, value in live.variant.options.items()]
    netns = live.wire.far.namespace.path
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, live.wire.far.name, live.variant.engine, netns, *options],
        stdout=subprocess.PIPE,
    )
    assert victim.stdout is not None
    try:
        assert victim.stdout.readline() == b"open\n"
        live.send([frame(1)])
        assert victim.stdout.readline() == b"1\n"
        assert _on_host(live.wire) != before
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
    if not live.variant.next_run_tidies:
        assert _wait_until(lambda: _on_host(live.wire) == before), _on_host(live.wire)
    with live.running([frame(2)]) as capture:
        assert [row.number for row in collect(capture, 1)] == [2]
        assert drain(capture) == []
    assert _wait_until(lambda: _on_host(live.wire) == before), _on_host(live.wire)
