# SPDX-License-Identifier: Apache-2.0
"""Drop reasons: why the kernel threw packets away, in its own words, while we watched (tracepoint kfree_skb).

It sees what was thrown away for good. A packet that one tap had no room for, while another user still holds it, is not
among them: the tap's own counter has that.
"""

from __future__ import annotations

import bisect
import os
import socket
from collections import Counter as Tally
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wirepath import _core

__all__ = ["DropReason", "ReasonWatch", "XdpLoss", "nearest_symbol"]

_PROTOCOLS = {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP", 0x8100: "802.1Q", 0x88CC: "LLDP", 0x0004: "802.2", 0: ""}
_ACTIONS = {0: "XDP_ABORTED", 1: "XDP_DROP", 2: "XDP_PASS", 3: "XDP_TX", 4: "XDP_REDIRECT"}
_SUBSYSTEM_SHIFT = 16


@dataclass(frozen=True)
class DropReason:
    """Packets thrown away for one reason at one place since the watch began."""

    reason: str
    """As the kernel calls it: ``NETFILTER_DROP``, ``NO_SOCKET``, …"""
    location: str
    """The function that threw it away, with an offset; an address where the kernel hides its symbols."""
    protocol: str
    """``IPv4``, … or the ethertype in hex; empty: the packet had none yet."""
    interface: str
    """That it came in on, or was to leave by; empty: the packet no longer said."""
    packets: int


@dataclass(frozen=True)
class XdpLoss:
    """Frames that XDP lost otherwise than by XDP_DROP since the watch began."""

    kind: str
    """``exception``: an action that could not be done; ``redirect``: no target; ``devmap``: the target took no more."""
    detail: str
    """The action, or the error."""
    interface: str
    frames: int


class ReasonWatch:
    """Counts from its making to `close`, in the whole host; what it tells is of one network namespace.

    Raises:
        NoPermissionError: without CAP_BPF and CAP_PERFMON.
        UnsupportedError: this kernel has no drop reasons (before 5.17), or no type information.
    """

    def __init__(self) -> None:
        self._core = _core.DropReasons()
        self._names = _core.drop_reason_names()

    def reasons(self, ifindex: int | None = None) -> list[DropReason]:
        """In the calling thread's network namespace, the most frequent first; with `ifindex` not other interfaces'.

        A packet that no longer said its namespace or interface is among them.
        """
        here = _here()
        sums: Tally[tuple[int, int, int, int]] = Tally()
        for location, reason, netns, index, protocol, packets in self._core.drops():
            if netns in (0, here) and (ifindex is None or index in (0, ifindex)):
                sums[reason, location, index, protocol] += packets
        return [
            DropReason(self.name(reason), nearest_symbol(location), _protocol(protocol), _interface(index), packets)
            for (reason, location, index, protocol), packets in sums.most_common()
        ]

    def xdp_losses(self, ifindex: int | None = None) -> list[XdpLoss]:
        """In the calling thread's network namespace."""
        here = _here()
        return [
            XdpLoss(kind, _detail(kind, code), _interface(index), frames)
            for kind, code, index, netns, frames in self._core.xdp_losses()
            if netns in (0, here) and (ifindex is None or index == ifindex)
        ]

    @property
    def uncounted(self) -> int:
        """Losses for which the tables had no room: 0 unless there are thousands of kinds."""
        return self._core.uncounted

    def name(self, reason: int) -> str:
        """Of a reason; those of kernel modules have a subsystem's number and their own."""
        known = self._names.get(reason)
        if known is not None:
            return known
        subsystem, own = reason >> _SUBSYSTEM_SHIFT, reason & 0xFFFF
        return f"subsystem {subsystem}, reason {own}" if subsystem else f"reason {reason}"

    def close(self) -> None:
        """Takes the programs out of the kernel."""
        self._core.stop()


def _here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _detail(kind: str, code: int) -> str:
    if kind == "exception":
        return _ACTIONS.get(code, f"action {code}")
    return os.strerror(code) if code else "no room"


def _protocol(ethertype: int) -> str:
    return _PROTOCOLS.get(ethertype, f"{ethertype:#06x}")


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index) if index else ""
    except OSError:
        return f"interface {index}"


@cache
def _symbols() -> tuple[list[int], list[str]]:
    """Addresses and names of the kernel's functions, in order; empty where it hides them (kernel.kptr_restrict)."""
    rows = []
    with Path("/proc/kallsyms").open(encoding="ascii") as lines:
        for line in lines:
            address, kind, name, *_ = line.split()
            if kind in "tTwW":
                rows.append((int(address, 16), name))
    rows.sort()
    if not rows or not rows[-1][0]:
        return [], []
    return [address for address, _ in rows], [name for _, name in rows]


def nearest_symbol(address: int) -> str:
    """The function that an address is in, as ``name+0x1f``; the address itself where the kernel hides its symbols."""
    addresses, names = _symbols()
    place = bisect.bisect_right(addresses, address) - 1
    if place < 0:
        return f"{address:#x}"
    return f"{names[place]}+{address - addresses[place]:#x}"
