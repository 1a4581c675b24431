# SPDX-License-Identifier: Apache-2.0
"""The capture files that offline benchmarks read: the same bytes on every machine, no random number in them."""

import struct
from collections.abc import Callable
from pathlib import Path

_MAGIC_NS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1
_START_S = 1_700_000_000
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800".replace(" ", ""))
RARE_PORT = 4242
"""UDP destination port of one packet in 128: what a filter that selects little asks for."""

_MIXED_SIZES = (66, 74, 90, 128, 66, 590, 1514, 66, 150, 1514, 66, 343, 1514, 66, 78, 559)
"""Frame lengths that come in turn, in bytes: acknowledgements, requests, full segments; 424 on average."""


def frame(length: int, number: int) -> bytes:
    """An IPv4 frame of `length` bytes: TCP for the most part, every fourth UDP, addresses and ports of 1,000 flows."""
    flow = number * 7919 % 1000
    source, to = bytes((10, 1, flow >> 8, flow & 255)), bytes((10, 2, 0, flow % 200))
    udp = number % 4 == 0
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, length - 14, number & 0xFFFF, 0x4000, 64, 17 if udp else 6, 0, source, to
    )
    total = sum(struct.unpack("!10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + ip[12:]
    port = RARE_PORT if number % 128 == 0 else 5000 + flow % 50
    if udp:
        transport = struct.pack("!HHHH", 1024 + flow, port, length - 34, 0)
    else:
        transport = struct.pack(
            "!HHIIBBHHH", 1024 + flow, 443, number * 1460 & 0xFFFFFFFF, number, 0x50, 0x10, 502, 0, 0
        )
    head = _ETHERNET + ip + transport
    return head + bytes(length - len(head))


def write(path: Path, packets: int, size_of: Callable[[int], int]) -> None:
    """Write a pcap file with nanosecond times, a packet each 2 µs."""
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHIIII", _MAGIC_NS, 2, 4, 0, 0, 262144, _LINKTYPE_ETHERNET))
        for number in range(packets):
            data = frame(size_of(number), number)
            seconds, ns = divmod(number * 2000, 1_000_000_000)
            file.write(struct.pack("<IIII", _START_S + seconds, ns, len(data), len(data)) + data)


def mixed(path: Path) -> None:
    """320,000 packets, 142 MB: what an office's traffic looks like by its lengths."""
    write(path, 320_000, lambda number: _MIXED_SIZES[number % len(_MIXED_SIZES)])


def small(path: Path) -> None:
    """1,600,000 packets of 64 bytes, 128 MB: where the cost of a packet is all that there is."""
    write(path, 1_600_000, lambda _: 64)
