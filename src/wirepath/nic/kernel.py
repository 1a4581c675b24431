# SPDX-License-Identifier: Apache-2.0
"""Whom the readers of this package ask: rtnetlink, two families of generic netlink, ioctl, sysfs, in one namespace."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from functools import cached_property
from pathlib import Path
from typing import Self

from wirepath.linux.netlink import Attributes, Family, Netlink, attribute, attributes
from wirepath.linux.sysfs import Sysfs, number_in

__all__ = ["OTHER_NAMESPACE", "Kernel"]

OTHER_NAMESPACE = "/sys shows another network namespace, and a view of this one needs CAP_SYS_ADMIN: run with sudo"

_SIOCETHTOOL = 0x8946
_RTM_GETLINK = 18
_IFLA_IFNAME, _IFLA_TARGET_NETNSID = 3, 46
_HEADER_INDEX, _HEADER_FLAGS = 1, 3
_IFINFO = struct.Struct("=BxHiII")


class Kernel:
    """What the calling thread's network namespace can be asked, opened when it is first needed.

    Each method raises OSError: the kernel's refusal, or that it does not have what was asked for.
    """

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()

    @cached_property
    def route(self) -> Netlink:
        """Of rtnetlink."""
        return self._opened.enter_context(Netlink(socket.NETLINK_ROUTE))

    @cached_property
    def _ethtool(self) -> Family:
        return self._opened.enter_context(contextlib.closing(Family("ethtool")))

    @cached_property
    def netdev(self) -> Family:
        """The family that knows of XDP features, NAPI instances and queues, from 6.3 on."""
        return self._opened.enter_context(contextlib.closing(Family("netdev")))

    @cached_property
    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        return self._opened.enter_context(made)

    def link(self, name: str | None = None, index: int = 0, netns_id: int | None = None) -> tuple[int, bytes]:
        """An interface's rtnetlink message, by name or index, perhaps of the namespace that has this id here."""
        asked = _IFINFO.pack(0, 0, index, 0, 0)
        if netns_id is not None:
            asked += attribute(_IFLA_TARGET_NETNSID, netns_id)
        if name is not None:
            asked += attribute(_IFLA_IFNAME, name)
        answer = self.route.ask(_RTM_GETLINK, asked)
        return _IFINFO.unpack_from(answer)[2], answer

    def links(self) -> list[tuple[int, Attributes]]:
        """Each interface's index and attributes."""
        answers = self.route.dump(_RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))
        return [(_IFINFO.unpack_from(answer)[2], attributes(answer[_IFINFO.size :])) for answer in answers]

    def ethtool(self, command: int, ifindex: int) -> Attributes:
        """The answer to a GET of the ethtool family. Each request's attribute 1 is its header."""
        header = attribute(_HEADER_INDEX, ifindex) + attribute(_HEADER_FLAGS, 0)
        return self._ethtool.ask(command, attribute(1, header, nested=True))

    def ethtool_ioctl(self, name: str, data: bytes) -> bytes:
        """SIOCETHTOOL's structure, filled in: for what the family does not have, or has only in newer kernels."""
        buffer = ctypes.create_string_buffer(data, len(data))
        self.ioctl(_SIOCETHTOOL, name, buffer)
        return buffer.raw

    def ioctl(self, request: int, name: str, buffer: ctypes.Array[ctypes.c_char]) -> None:
        """An ioctl of an interface with a pointer in its ifreq."""
        fcntl.ioctl(self._socket, request, struct.pack("16sQ16x", os.fsencode(name), ctypes.addressof(buffer)))

    def sysfs(self, name: str) -> Path:
        """The directory of an interface under /sys/class/net, as this namespace sees it.

        /sys itself may show another namespace. It is used only where a view of our own is refused, and then only if
        it has just the interfaces that are here.
        """
        try:
            return self._opened.enter_context(Sysfs(mounted=False)).device(name)
        except PermissionError:
            mounted = Sysfs(mounted=True)
            if _interfaces_in(mounted.root) != {here: index for index, here in socket.if_nameindex()}:
                raise PermissionError(errno.EACCES, OTHER_NAMESPACE) from None
            return mounted.device(name)

    def close(self) -> None:
        """Lets go of all that was opened."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _interfaces_in(root: Path) -> dict[str, int]:
    found = {path.name: number_in(path / "ifindex") for path in (root / "class/net").iterdir()}
    return {name: index for name, index in found.items() if index is not None}
