# SPDX-License-Identifier: Apache-2.0
"""Netlink sockets (netlink(7)): requests, dumps and attributes, rtnetlink and generic families alike.

Made for reading what a kernel says, whichever version it is: an attribute is a number and bytes, and each reader names
those that it wants. Importing and asking takes milliseconds, where a complete library takes most of a second.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Self

__all__ = ["Attributes", "Family", "Netlink", "attribute", "attributes", "listed"]

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_INTERRUPTED = 0x10
_MOST_DUMPS = 10  # of what changes all the time
_CAPPED, _ACK_TLVS = 0x100, 0x200
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 270, 10, 11, 12
_HEADER = struct.Struct("=IHHII")
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_NESTED = 0x8000
_BUFFER_BYTES = 1 << 18  # a dump's message has at most 32 KiB

_NETLINK_GENERIC = 16
_GENERIC_CONTROL, _GET_FAMILY = 0x10, 3
_FAMILY_ID, _FAMILY_NAME = 1, 2


class Attributes(dict[int, bytes]):
    """The attributes of a message or of a nest, by number. One that is not there is None."""

    def number(self, which: int, *, signed: bool = False) -> int | None:
        """An integer of 8 to 64 bits in the host's order."""
        value = self.get(which)
        return None if value is None else int.from_bytes(value, sys.byteorder, signed=signed)

    def text(self, which: int) -> str | None:
        """A string, without the NUL at its end."""
        value = self.get(which)
        return None if value is None else value.rstrip(b"\0").decode("utf-8", "replace")

    def flag(self, which: int) -> bool | None:
        """A byte that is 0 or 1."""
        value = self.number(which)
        return None if value is None else bool(value)

    def nest(self, which: int) -> Attributes:
        """What is in a nest; nothing if the nest is not there."""
        return attributes(self.get(which, b""))

    def members(self, which: int) -> list[Attributes]:
        """The nests in a nest, in their order: an array."""
        return [attributes(value) for _, value in listed(self.get(which, b""))]


def listed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each attribute's number and payload, in order. What is cut short ends the list."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield kind & _TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes) -> Attributes:
    """The attributes in `data`; of several with one number the last."""
    return Attributes(listed(data))


def attribute(kind: int, value: int | str | bytes, *, nested: bool = False) -> bytes:
    """One attribute: an int becomes a u32, a text gets its NUL."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = os.fsencode(value) + b"\0"
    header = struct.pack("=HH", len(value) + 4, kind | (_NESTED if nested else 0))
    return header + value + b"\0" * (-len(value) % 4)


class Netlink:
    """A socket in the network namespace that the calling thread is in, and stays there."""

    def __init__(self, protocol: int) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0
        self._interrupted = False

    def ask(self, kind: int, payload: bytes) -> bytes:
        """The payload of the answer to a request.

        Raises:
            OSError: the kernel's refusal, in its own words where it has any.
        """
        return next(self._exchange(kind, _REQUEST | _ACK, payload), b"")

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """The payload of each message of a dump. One that what it lists has changed under is asked for again.

        Raises:
            OSError: the kernel's refusal, in its own words where it has any.
        """
        for _ in range(_MOST_DUMPS):
            self._interrupted = False
            answers = list(self._exchange(kind, _REQUEST | _DUMP, payload))
            if not self._interrupted:
                break
        return answers

    def _exchange(self, kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
        self._sequence += 1
        self._socket.send(_HEADER.pack(_HEADER.size + len(payload), kind, flags, self._sequence, 0) + payload)
        answers = []
        for answered, answer_flags, body in self._messages():
            self._interrupted |= bool(answer_flags & _INTERRUPTED)
            if answered in (_ERROR, _DONE):
                _raise_if_refused(answered, answer_flags, body)
                break
            answers.append(body)
        return iter(answers)

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            data = self._socket.recv(_BUFFER_BYTES)
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
                if sequence == self._sequence:
                    yield kind, flags, data[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3

    def close(self) -> None:
        """Lets go of the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Family:
    """A family of generic netlink, such as ethtool or netdev."""

    def __init__(self, name: str) -> None:
        """Raises OSError; ENOENT: this kernel does not have the family."""
        self._netlink = Netlink(_NETLINK_GENERIC)
        try:
            self._kind = _GENERIC_CONTROL
            found = attributes(self._ask(_GET_FAMILY, attribute(_FAMILY_NAME, name), version=2))
            self._kind = int.from_bytes(found[_FAMILY_ID], sys.byteorder)
        except BaseException:
            self._netlink.close()
            raise

    def ask(self, command: int, payload: bytes) -> Attributes:
        """The attributes of the answer to a request. Raises OSError."""
        return attributes(self._ask(command, payload))

    def dump(self, command: int, payload: bytes = b"") -> list[Attributes]:
        """The attributes of each answer. Raises OSError."""
        answers = self._netlink.dump(self._kind, struct.pack("=BBH", command, 1, 0) + payload)
        return [attributes(answer[4:]) for answer in answers]

    def _ask(self, command: int, payload: bytes, version: int = 1) -> bytes:
        return self._netlink.ask(self._kind, struct.pack("=BBH", command, version, 0) + payload)[4:]

    def close(self) -> None:
        """Lets go of the socket."""
        self._netlink.close()


def _raise_if_refused(kind: int, flags: int, body: bytes) -> None:
    """NLMSG_ERROR and NLMSG_DONE begin alike, with 0 or the negative errno."""
    if len(body) < 4:
        return
    number = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if number == 0:
        return
    said = None
    if flags & _ACK_TLVS:
        rest = body[4 + (_HEADER.size if kind == _ERROR else 0) :]
        if kind == _ERROR and not flags & _CAPPED:
            asked_length = int.from_bytes(body[4:8], sys.byteorder)
            rest = body[4 + ((asked_length + 3) & ~3) :]
        said = attributes(rest).text(1)
    raise OSError(number, f"{os.strerror(number)} ({said})" if said else os.strerror(number))
