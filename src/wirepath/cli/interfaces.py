# SPDX-License-Identifier: Apache-2.0
"""The interfaces of a network namespace, as -D lists them."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from wirepath.errors import NoPermissionError, NotFoundError, error

__all__ = ["Listed", "list_interfaces", "name_of", "print_interfaces"]

SIOCGIFFLAGS = 0x8913
CLONE_NEWNET = 0x40000000
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 0x1, 0x8, 0x40

T = TypeVar("T")


class Listed(NamedTuple):
    """One line of -D."""

    name: str
    state: str
    ifindex: int = 0


def list_interfaces(netns: str | None) -> list[Listed]:
    """Those that are up first, then `any`, then the rest."""
    found = _in_netns(netns, _interfaces_here) if netns else _interfaces_here()
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
        print(f"{number}.{row.name} [{row.state}]")


def _interfaces_here() -> list[Listed]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        return [Listed(name, _state(asked, name), index) for index, name in socket.if_nameindex()]


def _state(asked: socket.socket, name: str) -> str:
    try:
        answer = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
    except OSError:
        return "gone"
    flags = struct.unpack("16sH14x", answer)[1]
    words = [
        word for bit, word in ((IFF_UP, "Up"), (IFF_RUNNING, "Running"), (IFF_LOOPBACK, "Loopback")) if flags & bit
    ]
    return ", ".join(words) or "Down"


def _in_netns(netns: str, what: Callable[[], T]) -> T:
    """On a thread of its own: only that one changes its namespace."""
    results: list[T] = []
    failures: list[OSError] = []

    def inside() -> None:
        try:
            _enter(netns)
            results.append(what())
        except OSError as failure:
            failures.append(failure)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failures:
        kind = NoPermissionError if isinstance(failures[0], PermissionError) else NotFoundError
        raise error(kind, f"entering the network namespace {netns}: {failures[0].strerror}", "`ip netns` lists them")
    return results[0]


def _enter(netns: str) -> None:
    if netns.isdecimal():
        path = Path("/proc", netns, "ns/net")
    else:
        path = Path(netns) if "/" in netns else Path("/run/netns", netns)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
