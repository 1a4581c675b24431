# SPDX-License-Identifier: Apache-2.0
"""Packets for filters: of the protocols that pcap-filter(7) knows, whole, cut and damaged."""

from __future__ import annotations

import random
import struct
from typing import Final

MAC: Final = bytes.fromhex("01005e000001")
HOSTS: Final = [bytes([10, 1, 0, 7]), bytes([10, 1, 0, 8]), bytes([10, 2, 3, 4])]
HOSTS_6: Final = [bytes.fromhex("20010db8") + bytes(11) + b"\x01", bytes.fromhex("fe80") + bytes(13) + b"\x02"]
PORTS: Final = [53, 80, 20, 21, 6081, 50000]


def _transport(draw: random.Random, protocol: int) -> bytes:
    ports = struct.pack(">HH", draw.choice(PORTS), draw.choice(PORTS))
    rest = draw.randbytes(draw.randrange(8, 60))
    if protocol == 6:
        return ports + bytes(8) + bytes([draw.choice([0x50, 0x80]), draw.randrange(256)]) + bytes(6) + rest
    if protocol == 17 and ports[2:] == struct.pack(">H", 6081):
        inner = bytes(12) + draw.choice([b"\x08\0", b"\x81\0\0\x05\x08\0"]) + _ipv4(draw, 6)
        return ports + bytes(4) + b"\0\0\x65\x58" + draw.choice([b"\0\0\x05\0", b"\0\0\x0b\0"]) + inner
    return ports + rest


def _ipv4(draw: random.Random, protocol: int | None = None) -> bytes:
    protocol = protocol if protocol is not None else draw.choice([1, 2, 6, 6, 17, 17, 51, 89, 103, 112, 132, 9])
    words, offset = draw.choice([5, 5, 6, 15]), draw.choice([0, 0, 0, 0x2000, 0x0010])
    to = draw.choice([*HOSTS, b"\xe0\0\0\x01", b"\xff\xff\xff\xff"])
    length = draw.choice([draw.randrange(70), draw.randrange(65536)])
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, 1, offset, draw.randrange(256), protocol, 0)
    return head + draw.choice(HOSTS) + to + bytes((words - 5) * 4) + _transport(draw, protocol)


def _ipv6(draw: random.Random) -> bytes:
    protocol = draw.choice([0, 6, 17, 44, 51, 58])
    extension = struct.pack(">BBHI", draw.choice([6, 17]), 0, 0, 1) if protocol in (0, 44, 51) else b""
    head = struct.pack(">IHBB", 0x60000000, draw.randrange(100), protocol, 64)
    return (
        head
        + draw.choice(HOSTS_6)
        + draw.choice([*HOSTS_6, b"\xff\x02" + bytes(13) + b"\x01"])
        + extension
        + (_transport(draw, 17))
    )


def _llc(draw: random.Random) -> bytes:
    sap = draw.choice([0x42, 0xE0, 0xF0, 0xFE, 0xAA])
    snap = b"\x08\0\x07\x80\x9b" if draw.random() < 0.5 else b"\0\0\0\x08\0"
    body = snap if sap == 0xAA else bytes([draw.choice([0x81, 0x82, 0x83]), 27, 1, 0, draw.choice([15, 18, 25])])
    return bytes([sap, sap, 3]) + body + draw.randbytes(40)


def _payload(draw: random.Random) -> bytes:
    """With the Ethernet type before it."""
    kind = draw.randrange(12)
    if kind < 5:
        return b"\x08\0" + _ipv4(draw)
    if kind < 7:
        return b"\x86\xdd" + _ipv6(draw)
    if kind == 7:
        arp = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + MAC + draw.choice(HOSTS) + MAC + draw.choice(HOSTS)
        return draw.choice([b"\x08\x06", b"\x80\x35"]) + arp
    if kind == 8:
        label = draw.choice([100000, 1024]) << 12 | 0x100
        below = struct.pack(">I", 1024 << 12 | 0x100) if draw.random() < 0.5 else b""
        return b"\x88\x47" + struct.pack(">I", label if not below else label & ~0x100) + below + _ipv4(draw)
    if kind == 9:
        return draw.choice([b"\x88\x63", b"\x88\x64"]) + struct.pack(">BBHHH", 0x11, 0, 7, 40, 0x21) + _ipv4(draw)
    if kind == 10:
        llc = _llc(draw)
        return struct.pack(">H", len(llc)) + llc
    types = [0x809B, 0x80F3, 0x6003, 0x6004, 0x6002, 0x6001, 0x9000, 0x88CC, 0x8137]
    return struct.pack(">H", draw.choice(types)) + draw.randbytes(60)


def packets(count: int, seed: int = 1) -> list[tuple[bytes, int]]:
    """Ethernet frames and their lengths on the wire: every tenth is cut, every tenth is longer than a page."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        tags = b"".join(draw.choice([b"", b"", b"", b"\x81\0\0\x05", b"\x88\xa8\0\x06"]) for _ in range(2))
        data = draw.choice([MAC, b"\xff" * 6, draw.randbytes(6)]) + draw.choice([MAC, bytes(6)]) + tags + _payload(draw)
        if draw.random() < 0.1:
            data += draw.randbytes(draw.choice([3500, 5000, 9000]))
        kept = draw.randrange(len(data) + 1) if draw.random() < 0.1 else len(data)
        made.append((data[:kept], len(data)))
    return made
