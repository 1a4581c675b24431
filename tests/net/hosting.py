# SPDX-License-Identifier: Apache-2.0
"""A wire whose far end is a host (the fixture `host`): known frames that are for it."""

from __future__ import annotations

import subprocess
import time

from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire

__all__ = ["SENT", "frames", "in_netns", "send"]

SENT = 500
_PATIENCE_S = 10.0


def in_netns(wire: Wire, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a program at the far end."""
    with wire.far.namespace.entered():
        return subprocess.run(command, check=False, capture_output=True, text=True)


def frames(wire: Wire, count: int = SENT, size: int = 200) -> list[bytes]:
    """Known frames that are for the far end, whatever its Ethernet address is."""
    mac = wire.far.mac
    return [mac + frame(number, size)[len(mac) :] for number in range(count)]


def send(wire: Wire, count: int = SENT, size: int = 200) -> None:
    """Sends, in bursts that the wire has room for, and waits until the far end has counted or refused them."""
    wire.settle()  # many NICs reset their link when a program is attached
    before = wire.sent()
    burst = wire.burst or count
    with Sender(wire.near) as sender:
        for start in range(0, count, burst):
            sender.send(frames(wire, count, size)[start : start + burst])
            _wait_for(wire, before, min(count, start + burst))
    time.sleep(0.1)  # counted is not yet delivered


def _wait_for(wire: Wire, before: object, count: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        sent = wire.sent() - before  # type: ignore[operator]
        if sent.delivered + sent.dropped_link + sent.dropped_backlog + sent.dropped_nic >= count:
            return
        time.sleep(0.01)
