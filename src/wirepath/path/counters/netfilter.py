# SPDX-License-Identifier: Apache-2.0
"""What netfilter dropped in the calling thread's namespace: rules and policies, connection tracking, queues."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from wirepath.path.counters import nftables, xtables
from wirepath.path.counters.counter import Counter

__all__ = ["read_netfilter_losses"]

_NET = Path("/proc/thread-self/net")
_CONNTRACK = {"drop": "conntrack_drop", "early_drop": "conntrack_evicted", "insert_failed": "conntrack_insert"}
_NEEDS = "needs CAP_NET_ADMIN: run with sudo"


def read_netfilter_losses() -> list[Counter]:
    """Every counter there is. Raises OSError."""
    return [*_rules(), *_conntrack(), *_queues()]


def _rules() -> Iterator[Counter]:
    for name, source in (("nftables", nftables.losses), ("iptables", xtables.losses)):
        try:
            yield from source()
        except OSError as refused:
            if refused.errno not in (errno.EPERM, errno.EACCES):
                raise
            yield Counter("netfilter.rule", name, "", None, name, _NEEDS)


def _conntrack() -> Iterator[Counter]:
    try:
        lines = (_NET / "stat/nf_conntrack").read_text(encoding="ascii").splitlines()
    except OSError:
        return  # not loaded
    names, rows = lines[0].split(), [line.split() for line in lines[1:]]
    for name, row in _CONNTRACK.items():
        if name in names:
            total = sum(int(cpu[names.index(name)], 16) for cpu in rows)
            yield Counter(f"netfilter.{row}", name, "conntrack", total, "/proc/net/stat/nf_conntrack")


def _queues() -> Iterator[Counter]:
    """Each line: number, portid, waiting, copy mode and range, dropped, user dropped, and more."""
    try:
        lines = (_NET / "netfilter/nfnetlink_queue").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, _, _, _, dropped, user_dropped, *_ = line.split()
        for name, value in (("dropped", dropped), ("user_dropped", user_dropped)):
            source = "/proc/net/netfilter/nfnetlink_queue"
            yield Counter("netfilter.queue", name, f"queue {number}", int(value), source)
