# SPDX-License-Identifier: Apache-2.0
"""All that the stages are made of, read in one go."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wirepath import nic as nics
from wirepath.linux.netlink import attributes
from wirepath.linux.sysfs import number_in
from wirepath.nic.kernel import Kernel
from wirepath.path.counters import Counter
from wirepath.path.counters.nftables import Chain, read_chains
from wirepath.path.counters.reading import read_counters
from wirepath.path.counters.xtables import XtRule, read_tables
from wirepath.path.hooks import Hook, read_hooks
from wirepath.path.sockets import OpenSocket, SocketReader, Sockets

__all__ = ["PagePool", "Seen", "see", "sysctl"]

_T = TypeVar("_T")
_RTM_GETADDR = 22
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_PAGE_POOL_GET = 5
_POOL_IFINDEX, _POOL_NAPI, _POOL_INFLIGHT, _POOL_BYTES, _POOL_GONE = 2, 3, 4, 5, 6


@dataclass(frozen=True)
class PagePool:
    """Pages that a driver recycles for its receive buffers."""

    napi: int | None
    inflight: int
    """Pages that are with packets now."""
    inflight_bytes: int


@dataclass(frozen=True)
class Seen:
    """What was read of one interface and its namespace."""

    nic: nics.Nic
    ways: tuple[nics.Way, ...]
    """Which engine works here, in which mode."""
    counters: tuple[Counter, ...]
    sockets: Sockets
    chains: tuple[Chain, ...]
    tables: tuple[XtRule, ...]
    hooks: tuple[Hook, ...] | None
    """None: this kernel does not tell them."""
    addresses: tuple[str, ...]
    page_pools: tuple[PagePool, ...] | None
    copies: Sequence[Mapping[str, Any]]
    """Measurements of `wirepath copies`."""
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def driver(self) -> str:
        """Its name; empty: it has none."""
        return self.nic.driver.name if self.nic.driver is not None else ""

    @property
    def virtual(self) -> bool:
        """No hardware, and nothing that interrupts."""
        return not self.nic.link.physical

    def of(self, *stages: str) -> tuple[Counter, ...]:
        """The counters of these stages of the table of losses."""
        return tuple(counter for counter in self.counters if counter.stage in stages)

    @property
    def taps(self) -> tuple[OpenSocket, ...]:
        """Packet sockets that see this interface."""
        return tuple(one for one in self.sockets.taps(self.nic.link.ifindex) if one.tap is not None)

    @property
    def xdp_sockets(self) -> tuple[OpenSocket, ...]:
        """AF_XDP sockets on its queues."""
        return tuple(one for one in self.sockets.taps(self.nic.link.ifindex) if one.xdp is not None)


def see(name: str, sockets: SocketReader, copies: Sequence[Mapping[str, Any]]) -> Seen:
    """Read it all, in the calling thread's network namespace.

    Raises:
        NotFoundError: there is no such interface.
    """
    missing: dict[str, str] = {}

    def get(what: str, ask: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return ask()
        except OSError as refused:
            missing[what] = refused.strerror or str(refused)
            return otherwise

    nic = nics.read(name)
    counters, unread = read_counters([name])
    found = sockets.read()
    if found.missing:
        missing["captures"] = found.missing
    with Kernel() as kernel:
        return Seen(
            nic=nic,
            ways=nics.ways(nic),
            counters=(*counters, *found.losses(nic.link.ifindex)),
            sockets=found,
            chains=tuple(get("nftables", read_chains, [])),
            tables=tuple(get("iptables", read_tables, [])),
            hooks=read_hooks(),
            addresses=get("addresses", lambda: _addresses(kernel, nic.link.ifindex), ()),
            page_pools=_page_pools(kernel, nic.link.ifindex),
            copies=copies,
            missing={**nic.missing, **missing, **unread},
        )


def _addresses(kernel: Kernel, ifindex: int) -> tuple[str, ...]:
    """Of the interface, as `10.0.0.1/24`."""
    found = []
    for answer in kernel.route.dump(_RTM_GETADDR, struct.pack("=BBBBI", 0, 0, 0, 0, 0)):
        _, prefix, _, _, index = struct.unpack_from("=BBBBI", answer)
        told = attributes(answer[8:])
        address = told.get(_IFA_LOCAL) or told.get(_IFA_ADDRESS)
        if index == ifindex and address:
            found.append(f"{ipaddress.ip_address(address)}/{prefix}")
    return tuple(found)


def _page_pools(kernel: Kernel, ifindex: int) -> tuple[PagePool, ...] | None:
    """From 6.8 on, for drivers that tie theirs to the interface; None: not told."""
    try:
        told = kernel.netdev.dump(_PAGE_POOL_GET)
    except OSError:
        return None
    return tuple(
        PagePool(pool.number(_POOL_NAPI), pool.number(_POOL_INFLIGHT) or 0, pool.number(_POOL_BYTES) or 0)
        for pool in told
        if pool.number(_POOL_IFINDEX) == ifindex and _POOL_GONE not in pool
    )


def sysctl(name: str) -> int | None:
    """A number of /proc/sys/net, as the calling thread's namespace has it; None: not there."""
    return number_in(Path("/proc/sys/net") / name)
