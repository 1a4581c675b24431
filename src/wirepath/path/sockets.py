# SPDX-License-Identifier: Apache-2.0
"""The sockets of a network namespace, with the processes that have them open and what they lost.

A program in the kernel lists them where the kernel lets us load one: it alone can tell what a TPACKET ring lost without
clearing it. Elsewhere netlink's diagnostics do (sock_diag(7)), and /proc tells the processes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wirepath import _core
from wirepath.errors import NoPermissionError, UnsupportedError
from wirepath.path.counters.counter import Counter
from wirepath.printable import printable

__all__ = ["OpenSocket", "Owner", "SocketReader", "Sockets", "Tap", "XdpTap", "socket_losses"]

_XDP = 44
_FAMILIES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6", socket.AF_PACKET: "packet", _XDP: "xdp"}
_TCP_LISTEN = 10
_FANOUT = ("hash", "lb", "cpu", "rollover", "rnd", "qm", "cbpf", "ebpf")


@dataclass(frozen=True, order=True)
class Owner:
    """A process that has the socket open."""

    pid: int
    command: str


@dataclass(frozen=True)
class Tap:
    """What a packet socket has beside other sockets."""

    protocol: int
    """The ethertype that it gets; 3: all; 0: none, it only sends."""
    version: int | None
    """Of its receive ring: 1 to 3; None: it has none, packets wait in its buffer."""
    block_size: int
    block_nr: int
    frame_size: int
    frame_nr: int
    fanout: str
    """Type, id and members of its fanout group; empty: it is in none."""
    drops: int | None
    """Packets that the ring or the buffer had no room for, since its owner last asked; None: only a program in the
    kernel could tell."""

    @property
    def ring_bytes(self) -> int:
        """Memory of the receive ring."""
        return self.block_size * self.block_nr


@dataclass(frozen=True)
class XdpTap:
    """What an AF_XDP socket has beside other sockets."""

    queue: int
    zero_copy: bool | None
    """None: netlink does not tell it."""
    rx_entries: int
    fill_entries: int
    rx_dropped: int | None
    rx_ring_full: int | None
    rx_invalid_descs: int | None
    fill_ring_empty: int | None


@dataclass(frozen=True)
class OpenSocket:
    """A socket that at least one process has open."""

    inode: int
    """As /proc/PID/fd shows it: ``socket:[inode]``."""
    family: str
    """``inet``, ``inet6``, ``packet``, ``xdp``."""
    type: int
    """As in the socket module: SOCK_STREAM, SOCK_DGRAM, SOCK_RAW."""
    protocol: int
    """IPPROTO_TCP, IPPROTO_UDP, …"""
    listening: bool
    """A TCP server, or a UDP or raw socket that is not connected."""
    local: str
    remote: str
    ifindex: int
    """What it is bound to; 0: nothing."""
    drops: int
    rcvbuf_bytes: int
    buffered_bytes: int
    filtered: bool | None
    """It has a socket filter; None: only the privileged may know."""
    owners: tuple[Owner, ...]
    """Empty: the process could not be looked at."""
    tap: Tap | None = None
    xdp: XdpTap | None = None

    @property
    def kind(self) -> str:
        """``tcp``, ``udp``, ``raw``, ``packet``, ``xdp``."""
        if self.family in ("packet", "xdp"):
            return self.family
        if self.type == socket.SOCK_RAW:
            return "raw"
        names = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", 136: "udplite", 132: "sctp", 262: "mptcp"}
        return names.get(self.protocol, f"protocol {self.protocol}")

    @property
    def who(self) -> str:
        """Its processes: ``tcpdump[812]``."""
        return ", ".join(f"{owner.command}[{owner.pid}]" for owner in self.owners) or "somebody"

    @property
    def label(self) -> str:
        """Process and address, in one line."""
        if self.family in ("packet", "xdp"):
            return f"{self.who} socket {self.inode}"
        peer = f" from {self.remote}" if self.remote else ""
        return f"{self.who} {self.kind} {self.local}{peer}"


@dataclass(frozen=True)
class Sockets:
    """What was found."""

    sockets: tuple[OpenSocket, ...]
    missing: str
    """Why some of it may be missing; empty: nothing is."""

    def taps(self, ifindex: int) -> tuple[OpenSocket, ...]:
        """Packet sockets that see this interface's packets, and AF_XDP sockets on its queues."""
        return tuple(
            found
            for found in self.sockets
            if (found.tap is not None and found.tap.protocol and found.ifindex in (0, ifindex))
            or (found.xdp is not None and found.ifindex == ifindex)
        )

    def losses(self, ifindex: int | None = None) -> list[Counter]:
        """What each lost; with `ifindex` without the taps of other interfaces."""
        theirs = None if ifindex is None else set(self.taps(ifindex))
        return [
            counter
            for found in self.sockets
            if theirs is None or found in theirs or (found.tap is None and found.xdp is None)
            for counter in socket_losses(found)
        ]


class SocketReader:
    """Reads again and again without loading a program each time."""

    def __init__(self) -> None:
        self._table: _core.SocketTable | None = None
        self._refused = ""
        try:
            self._table = _core.SocketTable()
        except (NoPermissionError, UnsupportedError) as refused:
            self._refused = str(refused)

    def read(self) -> Sockets:
        """Of the calling thread's network namespace. Raises OSError, SystemCallError."""
        from wirepath.path.diagnostics import owners_by_inode, read_by_netlink

        if self._table is None:
            return Sockets(read_by_netlink(owners_by_inode()), f"what capture rings lost: {self._refused}")
        here = Path("/proc/thread-self/ns/net").stat().st_ino
        found = _merged(_from_row(row) for row in self._table.read() if _wanted(row, here))
        return Sockets((*found, *_hidden(found, read_by_netlink({}))), "")


def _wanted(row: Mapping[str, Any], netns: int) -> bool:
    return row["netns"] == netns and row["family"] in _FAMILIES


def _hidden(seen: Iterable[OpenSocket], told: Iterable[OpenSocket]) -> Iterator[OpenSocket]:
    """Sockets of processes in other process namespaces: the table shows only those in ours. 0: nobody has it open."""
    known = {one.inode for one in seen} | {0}
    return (one for one in told if one.inode not in known)


def _from_row(row: Mapping[str, Any]) -> OpenSocket:
    family = _FAMILIES[row["family"]]
    connected = any(row["remote"][0]) or row["remote"][1]
    return OpenSocket(
        inode=row["inode"],
        family=family,
        type=row["type"],
        protocol=row["protocol"],
        listening=row["state"] == _TCP_LISTEN if row["protocol"] == socket.IPPROTO_TCP else not connected,
        local=_address(row["family"], *row["local"]),
        remote=_address(row["family"], *row["remote"]) if connected else "",
        ifindex=row["ifindex"],
        drops=row["drops"],
        rcvbuf_bytes=row["rcvbuf"],
        buffered_bytes=row["rmem"],
        filtered=row["filtered"],
        owners=(Owner(row["pid"], printable(row["command"])),),
        tap=_tap(row) if family == "packet" else None,
        xdp=_xdp(row) if family == "xdp" else None,
    )


def _tap(row: Mapping[str, Any]) -> Tap:
    number, kind, members = row["fanout"]
    word = _FANOUT[kind] if kind < len(_FANOUT) else str(kind)
    return Tap(
        protocol=row["protocol"],
        version=row["tp_version"] or None,
        block_size=row["block_size"],
        block_nr=row["block_nr"],
        frame_size=row["frame_size"],
        frame_nr=row["frame_nr"],
        fanout=f"{word}, group {number}, {members} members" if members else "",
        drops=row["tp_drops"],
    )


def _xdp(row: Mapping[str, Any]) -> XdpTap:
    return XdpTap(
        queue=row["queue"],
        zero_copy=row["zero_copy"],
        rx_entries=row["rx_entries"],
        fill_entries=row["fill_entries"],
        rx_dropped=row["rx_dropped"],
        rx_ring_full=row["rx_ring_full"],
        rx_invalid_descs=row["rx_invalid_descs"],
        fill_ring_empty=row["fill_ring_empty"],
    )


def _address(family: int, address: bytes, port: int) -> str:
    if family == socket.AF_INET:
        return f"{ipaddress.IPv4Address(address[:4])}:{port}"
    if family == socket.AF_INET6:
        return f"[{ipaddress.IPv6Address(address)}]:{port}"
    return ""


def _merged(found: Iterable[OpenSocket]) -> tuple[OpenSocket, ...]:
    """Each socket once, with all its processes."""
    by_inode: dict[int, OpenSocket] = {}
    for one in found:
        known = by_inode.get(one.inode)
        owners = {*one.owners, *(known.owners if known else ())}
        by_inode[one.inode] = replace(one, owners=tuple(sorted(owners)))
    return tuple(by_inode.values())


def socket_losses(found: OpenSocket) -> list[Counter]:
    """What one socket lost."""
    if found.tap is not None:
        return [_of_tap(found, found.tap)] if found.tap.protocol else []
    if found.xdp is not None:
        return _of_xdp(found, found.xdp)
    return [Counter("socket.drops", "sk_drops", found.label, found.drops, "ss -apm (d)", number=found.inode)]


def _of_tap(found: OpenSocket, tap: Tap) -> Counter:
    why = "" if tap.drops is not None else "only a program in the kernel can tell it: run with sudo"
    source = "PACKET_STATISTICS of that socket"
    return Counter("ring.tpacket", "tp_drops", found.label, tap.drops, source, why, found.inode)


def _of_xdp(found: OpenSocket, xdp: XdpTap) -> list[Counter]:
    return [
        Counter(
            f"ring.xdp_{row}",
            name,
            f"{found.label} queue {xdp.queue}",
            value,
            "XDP_STATISTICS of that socket",
            number=found.inode,
        )
        for row, name, value in (
            ("rx", "rx_ring_full", xdp.rx_ring_full),
            ("dropped", "rx_dropped", xdp.rx_dropped),
            ("invalid", "rx_invalid_descs", xdp.rx_invalid_descs),
            ("fill_empty", "rx_fill_ring_empty_descs", xdp.fill_ring_empty),
        )
    ]
