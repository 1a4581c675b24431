# SPDX-License-Identifier: Apache-2.0
"""One packet on a quiet link: how long until a reader has it."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from typing import Any

import wirepath as wp
from bench.samples import Goal, Section, Table, number
from wirepath.bench.lab import Wire

_PROTOCOL = 0x88B5  # for local experiments (IEEE 802)
_GAP_S = 0.037  # not a multiple of any timeout
ENGINES = ("socket", "pcap", "tpacket_v3", "af_xdp")
LIMIT_MS = 10


def run(packets: int) -> Section:
    """Measure each engine as it is opened by default."""
    section = Section("latency")
    table = Table("from send() to receive(), ms", ("engine", "median", "95 %", "99 %", "highest"))
    for engine in ENGINES:
        with Wire(mtu=1500) as wire:
            found = sorted(_latencies(wire, engine, packets))
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        table.rows.append((engine, *(number(ms) for ms in (cuts[49], cuts[94], cuts[98], found[-1]))))
        section.goals.append(Goal(f"{engine}: 99 % of packets on a quiet link", cuts[98], LIMIT_MS, False, "ms"))
    section.tables.append(table)
    return section


def _latencies(wire: Wire, engine: str, packets: int) -> list[float]:
    found: list[float] = []
    sent: list[float] = []
    with wire.near.namespace.entered():
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((wire.near.name, 0))

    def send() -> None:
        for index in range(packets):
            time.sleep(_GAP_S)
            frame = bytes.fromhex("020000000002020000000001") + _PROTOCOL.to_bytes(2, "big") + index.to_bytes(4, "big")
            sent.append(time.monotonic())
            out.send(frame + bytes(42))

    options: dict[str, Any] = {"xdp_mode": "native"} if engine == "af_xdp" else {}
    with out, wp.open(wire.far.name, engine, netns=wire.far.namespace.path, take=True, **options) as capture:
        sender = threading.Thread(target=send)
        sender.start()
        while len(found) < packets and (batch := capture.receive(1.0)) is not None:
            now = time.monotonic()
            numbers = [_number(packet.data) for packet in batch]
            found += [(now - sent[number]) * 1e3 for number in numbers if number is not None]
        sender.join()
    if len(found) != packets:
        raise RuntimeError(f"{engine} delivered {len(found)} of {packets} packets")
    return found


def _number(data: bytes) -> int | None:
    """Which packet of ours it is; None: another's."""
    return int.from_bytes(data[14:18], "big") if data[12:14] == _PROTOCOL.to_bytes(2, "big") else None
