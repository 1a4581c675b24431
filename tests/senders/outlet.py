# SPDX-License-Identifier: Apache-2.0
"""A sender under test, and what arrives of what it sends."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Callable
from typing import Any

import wirepath as wp
from senders.variants import Variant
from wirepath.bench.lab import Wire

PATIENCE_S = 20.0  # for what should take milliseconds, on a machine that is busy with something else


class Outlet:
    def __init__(self, variant: Variant, wire: Wire) -> None:
        self.variant = variant
        self.wire = wire
        if variant.to_napi:
            wire.far.offload(gro=True)

    def open(self, **options: Any) -> wp.Sender:
        options = self.variant.options | options
        return wp.open_sender(self.wire.near.name, self.variant.engine, netns=self.wire.near.namespace.path, **options)

    def watched(self, engine: str = "tpacket_v3", **options: Any) -> wp.Capture:
        """A capture of what arrives."""
        return wp.open(self.wire.far.name, engine=engine, netns=self.wire.far.namespace.path, **options)

    def tc(self, *words: str) -> None:
        """Has tc do something in the sender's network namespace."""
        with self.wire.near.namespace.entered():
            subprocess.run(["tc", *words], check=True, capture_output=True, timeout=PATIENCE_S)

    def speed_up(self) -> None:
        """What `slow_down` holds back leaves at once."""
        self.tc(*f"qdisc replace dev {self.wire.near.name} root tbf rate 10gbit burst 1m limit 100m".split())

    def slow_down(self) -> None:
        """From now on a frame leaves only now and then."""
        self.tc(*f"qdisc add dev {self.wire.near.name} root tbf rate 8kbit burst 1600 limit 100m".split())


def wire_bytes(packet: Any) -> bytes:
    """The packet with a tag that was in metadata put back."""
    data = bytes(packet.data)
    if not packet.vlan_tpid:
        return data
    return data[:12] + struct.pack(">HH", packet.vlan_tpid, packet.vlan_tci) + data[12:]


def collect(capture: wp.Capture, count: int, patience: float = PATIENCE_S) -> list[bytes]:
    """The next `count` frames as they were on the wire, or what came of them in time."""
    frames: list[bytes] = []
    until = time.monotonic() + patience
    while len(frames) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        if batch is not None:
            frames += [wire_bytes(packet) for packet in batch]
    return frames


def wait_until(true: Callable[[], bool], patience: float = PATIENCE_S) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()
