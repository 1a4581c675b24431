# SPDX-License-Identifier: Apache-2.0
"""What is DPDK's own: its devices, its environment, and what it must not do to the process that uses it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from contract.subject import Recorded, collect
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link

_ENGINE = next((engine for engine in wp.engines() if engine.name == "dpdk"), None)
pytestmark = pytest.mark.skipif(
    _ENGINE is None or not _ENGINE.usable, reason=f"cannot run here: {_ENGINE.reason if _ENGINE else 'no such engine'}"
)


@pytest.fixture
def near(wire: Wire) -> Iterator[Sender]:
    with Sender(wire.near) as sender:
        yield sender


def _open(wire: Wire, target: str = "", **options: Any) -> wp.Capture:
    return wp.open(target or wire.far.name, engine="dpdk", netns=wire.far.namespace.path, **options)


def _says(capture: wp.Capture, name: str) -> str:
    return next(row.granted for row in capture.sources[0].granted if row.name == name)


def _run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    program = """
import socket, wirepath as wp
[engine.options for engine in wp.engines()]
try:
    wp.open("lo").close()
except wp.WirepathError:
    pass
print("librte" in open("/proc/self/maps").read())
"""
    assert _run(program).strip() == "False"


def test_the_callers_thread_is_let_be(wire: Wire, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither its affinity changes nor its signal mask, and nothing is printed."""
    before = os.sched_getaffinity(0)
    with _open(wire), pytest.raises(wp.BusyError):
        _open(wire)
    assert os.sched_getaffinity(0) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.wire(mtu=1500)
def test_what_it_bypasses_is_said(wire: Wire) -> None:
    with _open(wire) as capture:
        assert "not a kernel bypass" in capture.mode
        assert _says(capture, "kernel_bypass").startswith("no: ")
        assert not capture.sources[0].takes_packets
    with _open(wire, driver="af_xdp") as capture:
        assert "not a kernel bypass" in capture.mode
        assert capture.sources[0].takes_packets


@pytest.mark.wire(mtu=1500)
@pytest.mark.parametrize("huge_pages", ["auto", "off"])
def test_vdev_by_its_string(wire: Wire, near: Sender, huge_pages: str) -> None:
    with _open(wire, f"net_af_packet7,iface={wire.far.name},framecnt=1024", huge_pages=huge_pages) as capture:
        near.send([frame(number) for number in range(100)])
        assert [row.number for row in collect(capture, 100)] == list(range(100))
        assert capture.interfaces[0].name == wire.far.name


def test_tap(wire: Wire) -> None:
    """What the host sends to DPDK's interface comes to the program; the interface goes with the capture."""
    frames = [frame(number, 60 + number % 1400) for number in range(300)]
    for _ in range(3):
        with _open(wire, "net_tap0,iface=tap7") as capture:
            tap = Link(wire.far.namespace, "tap7")
            tap.set(state="up")
            with Sender(tap) as sender:
                sender.send(frames)
            assert [row.data for row in collect(capture, len(frames))] == frames
            assert "net_tap" in capture.mode
        with pytest.raises(LookupError):
            _ = tap.index


def test_tap_in_several_buffers(wire: Wire) -> None:
    """A jumbo frame is a chain of mbufs: made linear by a copy that is counted."""
    frames = [frame(number, size) for number, size in enumerate((1514, 9014, 64, 5000))]
    with _open(wire, "net_tap0,iface=tap7") as capture:
        tap = Link(wire.far.namespace, "tap7")
        tap.set(state="up", mtu=9000)
        with Sender(tap) as sender:
            sender.send(frames)
        rows = collect(capture, len(frames))
        assert [row.data for row in rows] == frames
        assert [row.origlen for row in rows] == [len(data) for data in frames]
        assert capture.stats().copied == 2


def test_pcap_device(tmp_path: Path) -> None:
    frames = [frame(number, 100) for number in range(50)]
    path = tmp_path / "trace.pcap"
    path.write_bytes(Recorded.contents(frames))
    with wp.open(f"net_pcap0,rx_pcap={path}", engine="dpdk") as capture:
        assert [row.data for row in collect(capture, len(frames))] == frames


@pytest.mark.wire(mtu=1500)
def test_what_the_driver_counts(wire: Wire, near: Sender) -> None:
    """Since the capture began, and still known when it is closed."""
    with _open(wire) as capture:
        near.send([frame(number) for number in range(100)])
        collect(capture, 100)
        seen = {one.name: one.during for one in capture.observed}
    assert {one.name: one.during for one in capture.observed} == seen
    assert seen["rx_good_packets"] == 100
    assert seen["rx_mbuf_allocation_errors"] == 0
    assert "rx_errors" not in seen


@pytest.mark.wire(mtu=1500)
def test_several_interfaces_at_once(wire: Wire, near: Sender) -> None:
    """Each a device of its own in the one environment, from several threads."""
    with Wire(mtu=1500) as other, Sender(other.near) as far_away:
        wires, senders = (wire, other), (near, far_away)
        found: dict[int, list[int | None]] = {}

        def receive(which: int) -> None:
            for _ in range(5):
                with _open(wires[which]) as capture:
                    senders[which].send([frame(number) for number in range(200)])
                    found[which] = [row.number for row in collect(capture, 200)]

        threads = [threading.Thread(target=receive, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {0: list(range(200)), 1: list(range(200))}


@pytest.mark.parametrize("options", [{"wait": "poll"}, {"wait": "poll", "idle_us": 0}, {"wait": "interrupt"}])
@pytest.mark.wire(mtu=1500)
def test_waiting(wire: Wire, near: Sender, options: dict[str, Any]) -> None:
    with _open(wire, **options) as capture:
        assert capture.receive(0.05) is None
        near.send([frame(1)])
        assert [row.number for row in collect(capture, 1)] == [1]
        assert capture.fileno() >= 0


@pytest.mark.wire(mtu=1500)
def test_promiscuity_that_the_administrator_set_stays(wire: Wire) -> None:
    with wire.far.namespace.entered():
        subprocess.run(["ip", "link", "set", wire.far.name, "promisc", "on"], check=True)
        with _open(wire):
            assert wire.far.promiscuity() == 2
        flags = subprocess.run(["ip", "link", "show", wire.far.name], check=True, capture_output=True, text=True).stdout
    assert "PROMISC" in flags


def test_a_child_is_told() -> None:
    """DPDK runs in the process that started it."""
    program = """
import os, wirepath as wp
wp.open("net_null0", engine="dpdk").close()
child = os.fork()
if child == 0:
    try:
        wp.open("net_null0", engine="dpdk")
    except wp.UnsupportedError as error:
        print("refused", "parent" in str(error), flush=True)
    os._exit(0)
os.waitpid(child, 0)
with wp.open("net_null0", engine="dpdk") as capture:
    print(len(capture.receive(1)) > 0)
"""
    assert _run(program).split() == ["refused", "True", "True"]


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("nothing0", {}, "nothing0"),
        ("0000:ff:1f.7", {}, "--bind vfio-pci"),
        ("net_nothing0", {}, "net_nothing0"),
        ("net_null0", {"driver": "af_xdp"}, "driver"),
        ("net_null0", {"queues": 2000}, "queues"),
        ("net_null0", {"mbufs": 128}, "mbufs"),
        ("net_null0", {"huge_pages": "on"}, "huge pages"),
    ],
)
def test_what_cannot_be_opened(target: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(wp.WirepathError, match=said):
        wp.open(target, engine="dpdk", **options)
