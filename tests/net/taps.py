# SPDX-License-Identifier: Apache-2.0
"""What the tests of the taps of the stack share."""

from __future__ import annotations

import time
from typing import Any

import pytest

import wirepath as wp
from wirepath.bench.lab import Wire

REASONS = {engine.name: engine.reason for engine in wp.engines() if not engine.usable}
TAPS = [
    pytest.param(name, marks=pytest.mark.skipif(name in REASONS, reason=f"cannot run here: {REASONS.get(name, '')}"))
    for name in ("tpacket_v3", "socket", "pcap")
]
FANOUT_TAPS = ["tpacket_v3", "socket"]
needs_sockets = pytest.mark.skipif("socket" in REASONS, reason=f"cannot run here: {REASONS.get('socket', '')}")


def open_on(wire: Wire, engine: str, target: str | None = None, **options: Any) -> wp.Capture:
    return wp.open(target or wire.far.name, engine=engine, netns=wire.far.namespace.path, **options)


def granted(capture: wp.Capture) -> dict[str, str]:
    return {item.name: item.granted for item in capture.sources[0].granted}


def packets(capture: wp.Capture, count: int, quiet: float = 0.3) -> list[wp.Packet]:
    """The next `count` packets and what comes within `quiet` seconds after them."""
    found: list[wp.Packet] = []
    until = time.monotonic() + 10
    while time.monotonic() < until:
        batch = capture.receive(0.2 if len(found) < count else quiet)
        if batch is not None:
            found += [batch[row] for row in range(len(batch))]
        elif len(found) >= count:
            break
    return found
