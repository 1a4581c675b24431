# SPDX-License-Identifier: Apache-2.0
"""The interfaces of a network namespace, as -D lists them."""

import fcntl
import os
import socket
import struct
from typing import NamedTuple

from wirepath.errors import NotFoundError, error
from wirepath.linux.netns import inside
from wirepath.printable import printable

__all__ = ["Listed", "list_interfaces", "name_of", "print_interfaces"]

SIOCGIFFLAGS = 0x8913
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40


class Listed(NamedTuple):
    """One line of -D."""

    name: str
    state: str
    ifindex: int = 0


def list_interfaces(netns: str | None) -> list[Listed]:
    """Those that are up first, then `any`, then the rest."""
    with inside(netns):
        found = _interfaces_here()
    up = [row for row in found if row.state.startswith("Up")]
    return [*up, Listed("any", "all interfaces, Running"), *(row for row in found if row not in up)]


def name_of(text: str, netns: str | None) -> str:
    """Of an interface given by name or by its number in -D.

    Raises:
        NotFoundError: there is no such number.
    """
    if not text.isdecimal():
        return text
    listed = list_interfaces(netns)
    if text in (row.name for row in listed):
        return text
    if not 1 <= int(text) <= len(listed):
        raise error(NotFoundError, f"there is no interface number {text}", f"-D lists 1 to {len(listed)}")
    return listed[int(text) - 1].name


def print_interfaces(netns: str | None) -> None:
    """As tcpdump -D does."""
    for number, row in enumerate(list_interfaces(netns), 1):
        print(f"{number}.{printable(row.name)} [{row.state}]")


def _interfaces_here() -> list[Listed]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        return [Listed(name, _state(asked, name), index) for index, name in socket.if_nameindex()]


def _state(asked: socket.socket, name: str) -> str:
    try:
        answer = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack("16sH14x", os.fsencode(name), 0))
    except OSError:
        return "gone"
    flags = struct.unpack("16sH14x", answer)[1]
    words = [
        word for bit, word in ((IFF_UP, "Up"), (IFF_RUNNING, "Running"), (IFF_LOOPBACK, "Loopback")) if flags & bit
    ]
    return ", ".join(words) or "Down"
