# SPDX-License-Identifier: Apache-2.0
"""Every function that netfilter's hooks call, whoever registered it (nfnetlink_hook, Linux 5.14, where it is built)."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass

from wirepath.linux.netlink import Netlink, attribute, attributes

__all__ = ["Hook", "read_hooks"]

_NETLINK_NETFILTER, _GET = 12, 12 << 8
_NUMBER, _PRIORITY, _FUNCTION, _MODULE = 1, 2, 4, 5
_FAMILIES = {2: "ip", 10: "ip6"}
_RECEIVING = {0: "prerouting", 1: "input", 2: "forward"}


@dataclass(frozen=True)
class Hook:
    """One function at one hook."""

    family: str
    hook: str
    priority: int
    function: str
    """Empty: the kernel hides its symbols."""
    module: str


def read_hooks() -> tuple[Hook, ...] | None:
    """Those on the way of a received packet, in the order in which they run; None: this kernel does not tell them."""
    try:
        with contextlib.closing(Netlink(_NETLINK_NETFILTER)) as netfilter:
            return tuple(
                hook for family in _FAMILIES for number in _RECEIVING for hook in _at(netfilter, family, number)
            )
    except OSError:
        return None


def _at(netfilter: Netlink, family: int, number: int) -> list[Hook]:
    asked = struct.pack("=BBH", family, 0, 0) + attribute(_NUMBER, struct.pack(">I", number))
    return [_hook(answer[4:], _FAMILIES[family], _RECEIVING[number]) for answer in netfilter.dump(_GET, asked)]


def _hook(answer: bytes, family: str, hook: str) -> Hook:
    told = attributes(answer)
    return Hook(
        family=family,
        hook=hook,
        priority=int.from_bytes(told.get(_PRIORITY, b""), "big", signed=True),
        function=told.text(_FUNCTION) or "",
        module=told.text(_MODULE) or "",
    )
