# SPDX-License-Identifier: Apache-2.0
"""The older iptables: its tables by getsockopt, with the counters of every rule (linux/netfilter/x_tables.h).

What `iptables` of today makes is nf_tables, which nftables.py reads.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wirepath.path.counters.counter import Counter

__all__ = ["XtRule", "losses", "read_tables"]

_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_GET_INFO, _GET_ENTRIES = 64, 65
_NAME_BYTES = 32
_INFO_BYTES = _NAME_BYTES + 4 * (1 + 5 + 5 + 2)
_DROP = -1  # of a standard target: -NF_DROP - 1


class _Version(NamedTuple):
    """Where the two versions of IP differ."""

    name: str
    family: int
    level: int
    lengths_at: int
    """Where target_offset and next_offset stand in an entry."""
    counters_at: int


_VERSIONS = (
    _Version("ip", socket.AF_INET, socket.IPPROTO_IP, 88, 96),
    _Version("ip6", socket.AF_INET6, socket.IPPROTO_IPV6, 140, 152),
)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class XtRule:
    """A rule or a chain's policy."""

    version: str
    table: str
    chain: str
    number: int
    """From 1 on in its chain; 0: the policy."""
    target: str
    """``DROP``, ``REJECT``, …; empty: it only goes on, returns or accepts."""
    packets: int


def read_tables() -> list[XtRule]:
    """All rules of the tables that are in use. Raises OSError: EPERM without CAP_NET_ADMIN."""
    found: list[XtRule] = []
    for version in _VERSIONS:
        try:
            names = Path(f"/proc/thread-self/net/{version.name}_tables_names").read_text(encoding="ascii").split()
        except FileNotFoundError:
            continue
        for table in names:
            found += _rules(version, table)
    return found


def _rules(version: _Version, table: str) -> Iterator[XtRule]:
    info = _ask(version, _GET_INFO, table, _INFO_BYTES)
    _, *numbers = struct.unpack_from("=I10III", info, _NAME_BYTES)
    starts, policies, size = numbers[:5], numbers[5:10], numbers[11]
    valid = struct.unpack_from("=I", info, _NAME_BYTES)[0]
    hooks = [hook for hook in range(5) if valid >> hook & 1]
    chains = {starts[hook]: _HOOKS[hook] for hook in hooks}
    entries = _ask(version, _GET_ENTRIES, table, _NAME_BYTES + 8 + size, size)[_NAME_BYTES + 8 :]
    return _walk(version, table, entries, chains, {policies[hook] for hook in hooks})


def _walk(
    version: _Version, table: str, entries: bytes, chains: dict[int, str], policies: set[int]
) -> Iterator[XtRule]:
    at, chain, number = 0, "", 0
    while at < len(entries):
        target_at, step = struct.unpack_from("=HH", entries, at + version.lengths_at)
        packets = struct.unpack_from("=Q", entries, at + version.counters_at)[0]
        target, label = _target(entries, at + target_at)
        if at in chains:
            chain, number = chains[at], 0
        if target == "ERROR":  # a chain of the user's begins, or the table ends
            chain, number = label, 0
        elif at in policies:
            yield XtRule(version.name, table, chain, 0, target, packets)
        else:
            number += 1
            yield XtRule(version.name, table, chain, number, target, packets)
        if step == 0:
            return
        at += step


def _target(entries: bytes, at: int) -> tuple[str, str]:
    """The target's name, and its text if it is the one that names a chain."""
    name = entries[at + 2 : at + 31].split(b"\0")[0].decode("ascii", "replace")
    if name:
        return name, entries[at + 32 : at + 62].split(b"\0")[0].decode("ascii", "replace")
    verdict = struct.unpack_from("=i", entries, at + 32)[0]
    return ("DROP" if verdict == _DROP else ""), ""


def _ask(version: _Version, option: int, table: str, room: int, size: int = 0) -> bytes:
    """Getsockopt with a question in its buffer, which the socket module cannot ask."""
    question = table.encode().ljust(_NAME_BYTES, b"\0") + struct.pack("=I", size)
    buffer = ctypes.create_string_buffer(question, room)
    length = ctypes.c_uint32(room)
    with socket.socket(version.family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as asked:
        if _libc.getsockopt(asked.fileno(), version.level, option, buffer, ctypes.byref(length)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"asking for the table {table} of {version.name}tables: {os.strerror(number)}")
    return buffer.raw


def losses() -> Iterator[Counter]:
    """What rules and policies dropped. Raises OSError: EPERM without CAP_NET_ADMIN."""
    for rule in read_tables():
        if rule.target not in ("DROP", "REJECT"):
            continue
        of = f"{rule.version} {rule.table} {rule.chain}"
        source = f"{rule.version}tables-legacy -t {rule.table} -vnxL {rule.chain}"
        if rule.number == 0:
            yield Counter("netfilter.policy", f"policy {rule.target}", of, rule.packets, source)
        else:
            yield Counter("netfilter.rule", f"{rule.target}, rule {rule.number}", of, rule.packets, source)
