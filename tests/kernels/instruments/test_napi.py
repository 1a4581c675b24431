# SPDX-License-Identifier: Apache-2.0
"""The engine napi over drivers of NICs: what it sets, what that does to their interrupts, and that it is put back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import wirepath as wp
from wirepath import nic
from wirepath.bench.frames import Sender, frame
from wirepath.bench.nic_wire import NicWire

GAP_S = 0.0007
SO_BUSY_POLL, SO_INCOMING_NAPI_ID, ETH_P_ALL = 46, 56, 3
REAL = pytest.mark.nic("e1000", "e1000e", "igb", "virtio_net", "vmxnet3")


def settings(wire: NicWire) -> Any:
    """What the interface and each of its NAPI instances has."""
    found = nic.read(wire.far.name, wire.far.namespace.path)
    each = [(napi.defer_hard_irqs, napi.gro_flush_timeout_ns, napi.threaded) for napi in found.napi or ()]
    return found.napi_defaults, each


def send(wire: NicWire, count: int) -> None:
    with Sender(wire.near) as sender:
        for number in range(count):
            sender.send([frame(number, 200)])
            time.sleep(GAP_S)


def observe(wire: NicWire, count: int = 500, **options: Any) -> dict[str, Any]:
    """What the capture of so many packets, one by one, has measured."""
    with wp.open(wire.far.name, engine="napi", netns=wire.far.namespace.path, **options) as capture:
        wire.settle()
        sending = threading.Thread(target=send, args=(wire, count))
        sending.start()
        received, until = 0, time.monotonic() + 60
        while received < count and time.monotonic() < until:
            batch = capture.receive(0.1)
            received += len(batch) if batch is not None else 0
        sending.join()
    assert received == count
    return {one.name: one for one in capture.observed}


@pytest.mark.nic("e1000e", "virtio_net")
def test_cpu_cuts_the_interrupts_to_a_tenth(wire: NicWire) -> None:
    plain = observe(wire, poll="keep")["interrupts_a_packet"].during
    cut = observe(wire, poll="cpu")
    print(f"{wire.driver}: {plain:.3f} interrupts a packet, with poll=cpu {cut['interrupts_a_packet'].during:.3f}")
    assert plain > 0.5
    assert cut["interrupts_a_packet"].during <= 0.1 * plain
    assert "fewer with what is set" in cut["effect"].detail


@REAL
def test_what_it_did_is_counted(wire: NicWire) -> None:
    """The sentence is of the figures, whatever this driver makes of the settings."""
    seen = observe(wire, poll="cpu", baseline_ms=100)
    assert seen["packets"].during >= 500
    assert seen["polls"].during > 0
    assert seen["interrupts"].during is not None
    assert "interrupts a packet" in seen["effect"].detail


@REAL
@pytest.mark.parametrize("poll", ["latency", "throughput", "cpu"])
def test_put_back(wire: NicWire, poll: str) -> None:
    before = settings(wire)
    with wp.open(wire.far.name, engine="napi", netns=wire.far.namespace.path, poll=poll, threaded="on"):
        assert settings(wire) != before
    assert settings(wire) == before


_HOLD = """
import sys
import wirepath as wp
capture = wp.open(sys.argv[1], engine="napi", netns=sys.argv[2], poll="cpu")
print("open", flush=True)
sys.stdin.read()
"""


@REAL
def test_put_back_after_kill_9(wire: NicWire) -> None:
    before = settings(wire)
    command = [sys.executable, "-c", _HOLD, wire.far.name, wire.far.namespace.path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    assert settings(wire) != before
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    until = time.monotonic() + 20
    while settings(wire) != before and time.monotonic() < until:
        time.sleep(0.05)
    assert settings(wire) == before


@REAL
@pytest.mark.since("6.13")
def test_one_by_one_where_the_kernel_can(wire: NicWire) -> None:
    """The NAPI instances are set, and not the interface as a whole: queues that come later have what they had."""
    defaults = nic.read(wire.far.name, wire.far.namespace.path).napi_defaults
    with wp.open(wire.far.name, engine="napi", netns=wire.far.namespace.path, poll="cpu", measure=False) as capture:
        granted = {item.name: item.granted for item in capture.sources[0].granted}
        assert "NAPI instances" in granted["defer_hard_irqs"]
        found = nic.read(wire.far.name, wire.far.namespace.path)
        assert found.napi_defaults == defaults
        assert all(napi.defer_hard_irqs == 8 for napi in found.napi or ())


@REAL
def test_a_packet_socket_has_no_napi_id(wire: NicWire) -> None:
    """Why via=packet has no busy polling: the kernel would not know whom to poll."""
    with wire.far.namespace.entered():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with tap:
        tap.bind((wire.far.name, ETH_P_ALL))
        tap.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, 500)
        tap.settimeout(10)
        wire.far.set(flags=0x100, change=0x100)  # IFF_PROMISC
        send(wire, 10)
        assert tap.recv(2048)
        assert tap.getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID) == 0
        wire.far.set(flags=0, change=0x100)
