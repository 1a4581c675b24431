# SPDX-License-Identifier: Apache-2.0
"""Sending with DPDK on what is no interface of the kernel's, and what its drivers do beside it.

tests/senders has what every engine that sends must do.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from senders.outlet import collect, wait_until
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link

_ENGINE = next((engine for engine in wp.engines() if engine.name == "dpdk"), None)
pytestmark = pytest.mark.skipif(
    _ENGINE is None or not _ENGINE.usable, reason=f"cannot run here: {_ENGINE.reason if _ENGINE else 'no such engine'}"
)


def _open(wire: Wire, target: str = "", **options: Any) -> wp.Sender:
    return wp.open_sender(target or wire.near.name, "dpdk", netns=wire.near.namespace.path, **options)


def test_into_a_file(tmp_path: Path) -> None:
    """A device that has no interface; its counters say what it wrote."""
    path = tmp_path / "out.pcap"
    frames = [frame(number, 60 + number) for number in range(200)]
    with wp.open_sender(f"net_pcap0,tx_pcap={path}", "dpdk") as sender:
        assert sender.info.ifindex == 0
        assert sender.send(frames) == len(frames)
        assert sender.drain(5)
        stats = sender.stats()
    assert (stats.queued, stats.completed, stats.errors, stats.copied) == (200, 200, 0, 200)
    with wp.open(str(path)) as written:
        assert [bytes(packet.data) for batch in written for packet in batch] == frames


def test_tap(wire: Wire) -> None:
    """What it sends the host receives."""
    frames = [frame(number, 60 + number) for number in range(200)]
    with _open(wire, "net_tap0,iface=tap8") as sender:
        namespace = wire.near.namespace
        Link(namespace, "tap8").set(state="up")
        with wp.open("tap8", engine="tpacket_v3", netns=namespace.path) as capture:
            assert sender.send(frames) == len(frames)
            assert collect(capture, len(frames)) == frames
        assert sender.stats().completed == len(frames)


@pytest.mark.wire(mtu=1500)
def test_packet_socket_by_its_string(wire: Wire) -> None:
    """The ring is as long as the string says, and no longer: it wraps, and the driver never waits."""
    frames = [frame(number, 200) for number in range(2000)]
    with wp.open(wire.far.name, engine="tpacket_v3", netns=wire.far.namespace.path) as capture:
        with _open(wire, f"net_af_packet3,iface={wire.near.name},framecnt=64,blocksz=4096,framesz=2048") as sender:
            assert sender.send(frames) == len(frames)
            assert sender.drain(5)
            assert sender.stats().completed == len(frames)
        assert collect(capture, len(frames)) == frames


@pytest.mark.wire(mtu=1500)
def test_af_xdp_says_what_it_takes(wire: Wire) -> None:
    """What arrives while it is open does not reach the host, and it is said; then it does again."""

    def arrives() -> bool:
        with (
            wp.open(wire.near.name, engine="socket", netns=wire.near.namespace.path) as capture,
            Sender(wire.far) as other,
        ):
            other.send([frame(77)])
            return collect(capture, 1, patience=1) == [frame(77)]

    with _open(wire, driver="af_xdp") as sender:
        assert any("takes what arrives" in note for note in sender.info.notes)
        assert not arrives()
    assert wait_until(lambda: not wire.near.has_xdp())
    assert arrives()


@pytest.mark.wire(mtu=1500)
def test_an_interface_is_used_once(wire: Wire) -> None:
    with _open(wire), pytest.raises(wp.BusyError, match="uses it with DPDK already"):
        wp.open(wire.near.name, engine="dpdk", netns=wire.near.namespace.path)


def test_default_route_below_a_device_is_refused(wire: Wire) -> None:
    wire.near.add_address("10.9.8.1", 24)
    with wire.near.namespace.entered():
        subprocess.run(["ip", "route", "add", "default", "via", "10.9.8.2"], check=True)
    with pytest.raises(wp.RefusedError, match=r"default route.*--force"):
        _open(wire, f"net_af_packet4,iface={wire.near.name}")


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("net_null0", {"qdisc_bypass": True}, "qdisc_bypass"),
        ("net_null0", {"driver": "af_xdp"}, "driver"),
        ("net_null0", {"queues": 2}, "queues"),
        ("0000:ff:1f.7", {}, "--bind vfio-pci"),
    ],
)
def test_what_cannot_be_opened(target: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(wp.WirepathError, match=said):
        wp.open_sender(target, "dpdk", **options)
