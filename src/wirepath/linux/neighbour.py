# SPDX-License-Identifier: Apache-2.0
"""Whose Ethernet address a packet to an IP address is sent to (rtnetlink(7))."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import time

from wirepath.errors import NotFoundError, error
from wirepath.linux.netlink import Netlink, attribute, attributes

__all__ = ["mac_towards"]

_ROUTE = 0  # NETLINK_ROUTE
_GET_ROUTE, _GET_NEIGHBOURS = 26, 30
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_NDA_DST, _NDA_LLADDR = 1, 2
_HINT = "Name the receiver's Ethernet address with --target-mac (target_mac=)"
_PATIENCE_S = 1.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def mac_towards(target: Address, ifindex: int, interface: str) -> bytes:
    """The Ethernet address of `target`, or of the gateway that leads to it, in the thread's network namespace.

    Where the kernel does not know it yet it is made to ask, by an empty datagram to the discard port.

    Raises:
        NotFoundError: the way there does not leave by this interface, or nobody answered.
    """
    try:
        with Netlink(_ROUTE) as netlink:
            hop = _next_hop(netlink, target, ifindex)
            if hop is None:
                raise error(NotFoundError, f"the route to {target} does not leave by {interface}", _HINT)
            return _known(netlink, hop, ifindex) or _asked(netlink, hop, ifindex, target, interface)
    except OSError as failure:
        if isinstance(failure, NotFoundError):
            raise
        raise error(NotFoundError, f"there is no route to {target}: {failure.strerror}", _HINT) from None


def _next_hop(netlink: Netlink, target: Address, ifindex: int) -> bytes | None:
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    header = struct.pack("=BBBBBBBBI", family, target.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    route = attributes(netlink.ask(_GET_ROUTE, header + attribute(_RTA_DST, target.packed))[len(header) :])
    if route.number(_RTA_OIF) != ifindex:
        return None
    return route.get(_RTA_GATEWAY, target.packed)


def _known(netlink: Netlink, hop: bytes, ifindex: int) -> bytes | None:
    family = socket.AF_INET if len(hop) == 4 else socket.AF_INET6
    header = struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)
    for message in netlink.dump(_GET_NEIGHBOURS, header):
        found = attributes(message[len(header) :])
        if struct.unpack_from("=i", message, 4)[0] == ifindex and found.get(_NDA_DST) == hop:
            return found.get(_NDA_LLADDR)
    return None


def _asked(netlink: Netlink, hop: bytes, ifindex: int, target: Address, interface: str) -> bytes:
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"", (str(target), 9))
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if mac := _known(netlink, hop, ifindex):
            return mac
        time.sleep(0.02)
    raise error(NotFoundError, f"nobody at {target} answered on {interface}", _HINT)
