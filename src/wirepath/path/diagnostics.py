# SPDX-License-Identifier: Apache-2.0
"""Sockets as netlink's diagnostics tell them (sock_diag(7), linux/packet_diag.h, xdp_diag.h), their owners from /proc.

A kernel may have been built without one of the kinds; then those sockets are not seen.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from wirepath.linux.netlink import Attributes, Netlink, attributes
from wirepath.path.sockets import OpenSocket, Owner, Tap, XdpTap
from wirepath.printable import printable

__all__ = ["owners_by_inode", "read_by_netlink"]

_SOCK_DIAG, _BY_FAMILY = 4, 20
_EVERY_STATE = 0xFFFFFFFF
_SKMEMINFO = 7
_RMEM, _RCVBUF, _DROPS = 0, 1, 8  # places in SK_MEMINFO
_INET_MESSAGE = struct.Struct("=4B2s2s16s16sI8s5I")
_PACKET_MESSAGE = struct.Struct("=BBHI8s")
_PACKET_SHOW = 0x1 | 0x4 | 0x8 | 0x10 | 0x20
_P_INFO, _P_RX_RING, _P_FANOUT, _P_MEMINFO, _P_FILTER = 0, 2, 4, 6, 7
_XDP_FAMILY, _XDP_SHOW = 44, 0x1F
_X_INFO, _X_RX_RING, _X_FILL_RING, _X_STATS = 1, 3, 6, 9
_TCP_LISTEN = 10
_Owners = Mapping[int, Sequence[Owner]]
_INET = tuple(
    (family, protocol)
    for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_RAW)
    for family in (socket.AF_INET, socket.AF_INET6)
)


def read_by_netlink(owners: _Owners) -> tuple[OpenSocket, ...]:
    """Of the calling thread's network namespace; `owners` by inode. Raises OSError."""
    found: list[OpenSocket] = []
    with contextlib.closing(Netlink(_SOCK_DIAG)) as diag:
        for family, protocol in _INET:
            asked = struct.pack("=BBBxI48x", family, protocol, 1 << (_SKMEMINFO - 1), _EVERY_STATE)
            found += _told(diag, asked, partial(_inet, protocol, owners))
        for number, show, read in ((socket.AF_PACKET, _PACKET_SHOW, _packet), (_XDP_FAMILY, _XDP_SHOW, _xdp)):
            found += _told(diag, struct.pack("=BBHII8x", number, 0, 0, 0, show), partial(read, owners))
    return tuple(found)


def _told(diag: Netlink, asked: bytes, read: Callable[[bytes], OpenSocket]) -> Iterator[OpenSocket]:
    try:
        answers = diag.dump(_BY_FAMILY, asked)
    except OSError as refused:
        if refused.errno in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
            return  # this kernel was built without these diagnostics
        raise
    for answer in answers:
        yield read(answer)


def _inet(protocol: int, owners: _Owners, answer: bytes) -> OpenSocket:
    family, state, _, _, sport, dport, source, target, ifindex, _, *rest = _INET_MESSAGE.unpack_from(answer)
    memory = _memory(attributes(answer[_INET_MESSAGE.size :]).get(_SKMEMINFO, b""))
    tcp = protocol == socket.IPPROTO_TCP
    connected = any(target) or any(dport)
    return OpenSocket(
        inode=rest[4],
        family="inet" if family == socket.AF_INET else "inet6",
        type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM if protocol == socket.IPPROTO_UDP else socket.SOCK_RAW,
        protocol=protocol,
        listening=state == _TCP_LISTEN if tcp else not connected,
        local=_address(family, source, sport),
        remote=_address(family, target, dport) if connected else "",
        ifindex=ifindex,
        drops=memory[_DROPS],
        rcvbuf_bytes=memory[_RCVBUF],
        buffered_bytes=memory[_RMEM],
        filtered=None,
        owners=tuple(owners.get(rest[4], ())),
    )


def _packet(owners: _Owners, answer: bytes) -> OpenSocket:
    _, kind, number, inode, _ = _PACKET_MESSAGE.unpack_from(answer)
    told = attributes(answer[_PACKET_MESSAGE.size :])
    info = told.get(_P_INFO, bytes(24))
    ifindex, version = struct.unpack_from("=2I", info)
    ring = struct.unpack_from("=4I", told.get(_P_RX_RING, bytes(28)))
    memory = _memory(told.get(_P_MEMINFO, b""))
    fanout = told.number(_P_FANOUT)
    return OpenSocket(
        inode=inode,
        family="packet",
        type=kind,
        protocol=number,
        listening=True,
        local="",
        remote="",
        ifindex=ifindex,
        drops=memory[_DROPS],
        rcvbuf_bytes=memory[_RCVBUF],
        buffered_bytes=memory[_RMEM],
        filtered=bool(told.get(_P_FILTER)) if _P_FILTER in told else None,
        owners=tuple(owners.get(inode, ())),
        tap=Tap(
            protocol=number,
            version=version + 1 if ring[1] else None,
            block_size=ring[0],
            block_nr=ring[1],
            frame_size=ring[2],
            frame_nr=ring[3],
            fanout="" if fanout is None else f"group {fanout & 0xFFFF}",
            # A ring's losses are not in here, and a plain socket's only are.
            drops=None if ring[1] else memory[_DROPS],
        ),
    )


def _xdp(owners: _Owners, answer: bytes) -> OpenSocket:
    _, kind, _, inode, _ = _PACKET_MESSAGE.unpack_from(answer)
    told = attributes(answer[_PACKET_MESSAGE.size :])
    ifindex, queue = struct.unpack_from("=2I", told.get(_X_INFO, bytes(8)))
    stats = _stats(told)
    return OpenSocket(
        inode=inode,
        family="xdp",
        type=kind,
        protocol=0,
        listening=True,
        local="",
        remote="",
        ifindex=ifindex,
        drops=0,
        rcvbuf_bytes=0,
        buffered_bytes=0,
        filtered=None,
        owners=tuple(owners.get(inode, ())),
        xdp=XdpTap(
            queue=queue,
            zero_copy=None,
            rx_entries=told.number(_X_RX_RING) or 0,
            fill_entries=told.number(_X_FILL_RING) or 0,
            rx_dropped=stats[0],
            rx_invalid_descs=stats[1],
            rx_ring_full=stats[2],
            fill_ring_empty=stats[3],
        ),
    )


def _stats(told: Attributes) -> tuple[int | None, ...]:
    stats = told.get(_X_STATS, b"")
    return struct.unpack_from("=4Q", stats) if len(stats) >= 32 else (None,) * 4


def _memory(data: bytes) -> tuple[int, ...]:
    return struct.unpack_from("=9I", data) if len(data) >= 36 else (0,) * 9


def _address(family: int, address: bytes, port: bytes) -> str:
    number = int.from_bytes(port, "big")
    if family == socket.AF_INET:
        return f"{ipaddress.IPv4Address(address[:4])}:{number}"
    return f"[{ipaddress.IPv6Address(address)}]:{number}"


def owners_by_inode() -> dict[int, list[Owner]]:
    """The processes that have each socket open, as far as we may look into them."""
    found: dict[int, list[Owner]] = defaultdict(list)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                inodes = {inode for entry in (process / "fd").iterdir() if (inode := _inode(entry)) is not None}
                command = (process / "comm").read_text(encoding="utf-8", errors="replace").strip() if inodes else ""
                for inode in inodes:
                    found[inode].append(Owner(int(process.name), printable(command)))
    return found


def _inode(entry: Path) -> int | None:
    try:
        target = str(entry.readlink())
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None
