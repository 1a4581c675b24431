# SPDX-License-Identifier: Apache-2.0
"""Capture files made and taken apart by the letter of their specifications, independent of the code under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

SECTION, INTERFACE, OLD_PACKET, SIMPLE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6
JOURNAL, SECRETS, CUSTOM, CUSTOM_NOT_COPIED = 9, 10, 0xBAD, 0x40000BAD
ETHERNET: Final = 1

PCAP_US, PCAP_NS, PCAP_MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34

Options = list[tuple[int, bytes]]


@dataclass(frozen=True)
class Record:
    """One packet."""

    ts: int  # ns
    data: bytes
    origlen: int = -1

    @property
    def wire(self) -> int:
        return len(self.data) if self.origlen < 0 else self.origlen


def frame(length: int, seed: int = 0) -> bytes:
    """An Ethernet frame of an unassigned type, its bytes different for each seed."""
    head = bytes(6) + struct.pack(">IH", seed & 0xFFFFFFFF, 7) + b"\x88\xb5"
    return (head + bytes((seed + i) % 256 for i in range(max(0, length - len(head)))))[:length]


def pcap(
    records: list[Record],
    *,
    order: str = "<",
    magic: int = PCAP_US,
    linktype: int = ETHERNET,
    snaplen: int = 262144,
    minor: int = 4,
) -> bytes:
    """A pcap file."""
    divide = 1 if magic == PCAP_NS else 1000
    parts = [struct.pack(order + "IHHiIII", magic, 2, minor, 0, 0, snaplen, linktype)]
    for record in records:
        seconds, ns = divmod(record.ts, 1_000_000_000)
        parts.append(struct.pack(order + "IIII", seconds, ns // divide, len(record.data), record.wire))
        if magic == PCAP_MODIFIED:
            parts.append(struct.pack(order + "IHBB", 0, 0, 4, 0))  # packet type 4: outgoing
        parts.append(record.data)
    return b"".join(parts)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def options(given: Options, order: str = "<") -> bytes:
    """Options and their end."""
    if not given:
        return b""
    coded = b"".join(struct.pack(order + "HH", code, len(value)) + padded(value) for code, value in given)
    return coded + struct.pack(order + "HH", 0, 0)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    length = len(body) + 12
    return struct.pack(order + "II", kind, length) + body + struct.pack(order + "I", length)


def section(given: Options | None = None, order: str = "<") -> bytes:
    return block(SECTION, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options(given or [], order), order)


def interface(given: Options | None = None, order: str = "<", *, linktype: int = ETHERNET, snaplen: int = 0) -> bytes:
    return block(INTERFACE, struct.pack(order + "HHI", linktype, 0, snaplen) + options(given or [], order), order)


def packet(
    units: int, data: bytes, given: Options | None = None, order: str = "<", *, of: int = 0, origlen: int = -1
) -> bytes:
    """An enhanced packet block; `units` in the interface's own resolution."""
    wire = len(data) if origlen < 0 else origlen
    head = struct.pack(order + "IIIII", of, units >> 32, units & 0xFFFFFFFF, len(data), wire)
    return block(PACKET, head + padded(data) + options(given or [], order), order)


@dataclass
class Block:
    """A pcapng block, taken apart."""

    kind: int
    order: str
    fixed: bytes  # what stands before the options
    options: Options = field(default_factory=list)

    def numbers(self, code: str) -> tuple[int, ...]:
        return struct.unpack_from(self.order + code, self.fixed)


def _fixed_size(kind: int, body: bytes, order: str) -> int:
    match kind:
        case 0x0A0D0D0A:
            return 16
        case 1:
            return 8
        case 5:
            return 12
        case 6:
            (caplen,) = struct.unpack_from(order + "I", body, 12)
            return 20 + caplen + -caplen % 4
    return len(body)


def _options(raw: bytes, order: str) -> Options:
    found: Options = []
    at = 0
    while at < len(raw):
        code, length = struct.unpack_from(order + "HH", raw, at)
        if code == 0:
            break
        found.append((code, raw[at + 4 : at + 4 + length]))
        at += 4 + length + -length % 4
    return found


def blocks(raw: bytes) -> list[Block]:
    """A pcapng file, taken apart."""
    found: list[Block] = []
    order, at = "<", 0
    while at < len(raw):
        if raw[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(order + "II", raw, at)
        assert length % 4 == 0
        assert struct.unpack_from(order + "I", raw, at + length - 4) == (length,)
        body = raw[at + 8 : at + length - 4]
        fixed = _fixed_size(kind, body, order)
        found.append(Block(kind, order, body[:fixed], _options(body[fixed:], order)))
        at += length
    return found


def pcap_records(raw: bytes) -> list[Record]:
    """A pcap file of this machine's byte order, taken apart."""
    magic, _, _, _, _, _, _ = struct.unpack_from("<IHHiIII", raw)
    times = {PCAP_US: 1000, PCAP_NS: 1}[magic]
    found: list[Record] = []
    at = 24
    while at < len(raw):
        seconds, fraction, caplen, origlen = struct.unpack_from("<IIII", raw, at)
        found.append(Record(seconds * 1_000_000_000 + fraction * times, raw[at + 16 : at + 16 + caplen], origlen))
        at += 16 + caplen
    return found
