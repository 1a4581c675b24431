# SPDX-License-Identifier: Apache-2.0
"""The filter machine against libpcap's own, over whole, cut and damaged packets."""

import ctypes
import ctypes.util
import random
import struct
from collections.abc import Iterator

import pytest

import wirepath as wp

EXPRESSIONS = [
    "ip",
    "arp",
    "ip6",
    "tcp",
    "udp dst port 53",
    "tcp port 443 or udp port 53",
    "host 10.1.0.7",
    "net 10.2.0.0/16 and not port 80",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "udp[4:2] > 20 and ip[8] < 64",
    "ip[2:2] - ((ip[0] & 0xf) << 2) >= 40",
    "len > 100",
    "greater 80 and less 200",
    "ether broadcast or ether multicast",
    "ether[12:2] * 3 = 6144",
    "ether[14] / 2 = 34 and ether[15] % 7 != 3",
    "vlan 5 and udp",
    "vlan and vlan and ip",
    "portrange 1-1023",
    "icmp[icmptype] = icmp-echo",
    "ip proto 17 and ip[6:2] & 0x1fff = 0",
    "ip6[6] > 100",
    "ether[ether[14] & 7:2] ^ 0x11 > 5",
    "ip[ip[2:2] - 1] = 0",
]


class Instructions(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("code", ctypes.c_void_p)]


class Header(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("us", ctypes.c_long), ("caplen", ctypes.c_uint), ("origlen", ctypes.c_uint)]


class Libpcap:
    """pcap_offline_filter(3PCAP): what every other tool would say."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(ctypes.util.find_library("pcap"))
        self.library.pcap_open_dead.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.library.pcap_open_dead(1, 262144))

    def compile(self, text: str) -> Instructions:
        program = Instructions()
        assert self.library.pcap_compile(self.handle, ctypes.byref(program), text.encode(), 1, 0xFFFFFFFF) == 0
        return program

    def matches(self, program: Instructions, data: bytes, origlen: int) -> bool:
        header = Header(0, 0, len(data), origlen)
        return bool(self.library.pcap_offline_filter(ctypes.byref(program), ctypes.byref(header), data))


def ip_packet(draw: random.Random) -> bytes:
    protocol = draw.choice([1, 6, 17, 17, 6, 47])
    address = struct.pack("!BBHBBH", 10, draw.choice([1, 2]), draw.randrange(16), 10, 2, draw.randrange(16))
    ports = struct.pack("!HH", draw.choice([53, 80, 443, 0x0800]), draw.choice([53, 80, 443, 50000]))
    offset = draw.choice([0, 0, 0, 0x4000, 0x0010])
    first, length = 0x40 | draw.choice([5, 5, 5, 6]), draw.randrange(20, 200)
    head = struct.pack("!BBHHHBBH", first, 0, length, 1, offset, draw.randrange(256), protocol, 0)
    body = ports + struct.pack("!HHIBB6x", draw.randrange(60), 0, 2, draw.choice([0x50, 0x80]), draw.randrange(64))
    return head + address + body + draw.choice([b"GET /", b""]) + draw.randbytes(draw.randrange(60))


def packets(count: int) -> Iterator[tuple[bytes, int]]:
    """Packets and their lengths on the wire."""
    draw = random.Random(1)
    for _ in range(count):
        to = draw.choice([b"\xff" * 6, b"\x01\0\x5e\0\0\x01", bytes(6)])
        tags = b"".join(draw.choice([b"", b"", b"\x81\0\0\x05", b"\x88\xa8\0\x06"]) for _ in range(2))
        kind = draw.choice([b"\x08\0"] * 6 + [b"\x08\x06", b"\x86\xdd"])
        data = to + bytes(6) + tags + kind + (ip_packet(draw) if kind == b"\x08\0" else draw.randbytes(80))
        kept = draw.choice([len(data), len(data), draw.randrange(len(data) + 1)])
        yield data[:kept], len(data)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_same_verdict_as_libpcap(text: str) -> None:
    libpcap = Libpcap()
    program, ours = libpcap.compile(text), wp.compile_filter(text)
    verdicts = set()
    for data, origlen in packets(4000):
        expected = libpcap.matches(program, data, origlen)
        assert ours.matches(data, origlen) is expected, (text, data.hex(), origlen)
        verdicts.add(expected)
    if text != "vlan and vlan and ip":
        assert verdicts == {True, False}, "this expression tells nothing apart here"
