# SPDX-License-Identifier: Apache-2.0
"""Known frames: each byte follows from a sequence number, so that what arrives can be compared with what was sent."""

from __future__ import annotations

import errno
import functools
import socket
import struct
from collections.abc import Iterable
from typing import Self

from wirepath.bench.lab import LEFT_MAC, RIGHT_MAC
from wirepath.bench.link import Link

_MAGIC = b"wirepath"
_ETH_P_IP = 0x0800
_IP_AND_UDP = 28  # bytes
SMALLEST = 14 + _IP_AND_UDP + len(_MAGIC) + 8  # bytes of a frame without tags that has room for its number


@functools.cache
def _pattern(size: int) -> bytes:
    return bytes((index * 7 + (index >> 8)) & 0xFF for index in range(size))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(number: int, size: int = 64, *, port: int = 9, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """A UDP datagram of `size` bytes on the wire without its `tags`, each a (TPID, TCI), outermost first."""
    if size < SMALLEST:
        raise ValueError(f"a known frame has {SMALLEST} bytes or more, not {size}")
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, 0, 0x4000, 64, 17, 0, b"\x0a\x4d\0\x01", b"\x0a\x4d\0\x02")
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    udp = struct.pack(">HHHH", 5000, port, size - 34, 0)
    tagged = b"".join(struct.pack(">HH", tpid, tci) for tpid, tci in tags)
    head = RIGHT_MAC + LEFT_MAC + tagged + struct.pack(">H", _ETH_P_IP) + ip + udp
    return head + _MAGIC + struct.pack(">Q", number) + _pattern(size - SMALLEST)


def number_of(data: bytes) -> int | None:
    """The sequence number in a frame, None where it is none of ours or was cut before it."""
    at = data.find(_MAGIC, 0, 128)
    if at < 0 or len(data) < at + len(_MAGIC) + 8:
        return None
    return int(struct.unpack_from(">Q", data, at + len(_MAGIC))[0])


class Sender:
    """Gives frames to an interface as they are, through a packet socket. `sent` counts what the kernel was given."""

    def __init__(self, link: Link) -> None:
        self.sent = 0
        with link.namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.bind((link.name, 0))

    def send(self, frames: Iterable[bytes]) -> int:
        """The number sent. A frame that the link then refused is among them: the link counts it as dropped."""
        give, count = self._socket.send, 0
        for data in frames:
            try:
                give(data)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
            count += 1
        self.sent += count
        return count

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
