# SPDX-License-Identifier: Apache-2.0
"""The end of the way: the socket's buffer, and the program that reads it."""

from __future__ import annotations

from wirepath.path.seen import Seen, sysctl
from wirepath.path.sockets import OpenSocket
from wirepath.path.stage import Fact, Stage
from wirepath.path.stages.making import count, facts, made, size, some

__all__ = ["application", "delivery"]

_KINDS = ("tcp", "mptcp", "udp", "udplite", "sctp", "raw")


def _listeners(seen: Seen) -> list[OpenSocket]:
    return [one for one in seen.sockets.sockets if one.listening and one.family in ("inet", "inet6")]


def delivery(seen: Seen) -> Stage:
    """TCP, UDP and the sockets' buffers."""
    listening = _listeners(seen)
    by_kind = {kind: [one for one in listening if one.kind == kind] for kind in _KINDS}
    connected = sum(not one.listening for one in seen.sockets.sockets if one.family in ("inet", "inet6"))
    default = sysctl("core/rmem_default")
    losses = [c for c in seen.of("protocol") if not c.kind.startswith(("protocol.ip_", "protocol.icmp"))]
    return made(
        seen,
        "socket",
        "TCP, UDP: socket buffer",
        "softirq",
        [
            *(Fact(kind, f"{count(len(found), 'listener')}") for kind, found in by_kind.items() if found),
            *facts(
                ("connected", count(connected, "socket") if connected else None),
                ("listening", None if listening else "nobody"),
                ("buffer", f"{size(default)} unless a program asks for another (SO_RCVBUF)" if default else None),
            ),
        ],
        reads="the transport header, to find the socket",
        writes="the sk_buff into the socket's queue; the program is woken up",
        command="ss -lntupm; nstat -az 'Udp*' 'TcpExt*'",
        counters=[*losses, *seen.of("socket")],
        idle=not listening and not connected,
    )


def application(seen: Seen) -> Stage:
    """Who reads."""
    who = sorted({f"{owner.command}[{owner.pid}]" for one in _listeners(seen) for owner in one.owners})
    return made(
        seen,
        "application",
        "application",
        "process",
        facts(("listening", some(who, 6) or "no process that we can see")),
        reads="the packet's payload, out of the sk_buff into its own memory (recv: one copy)",
        writes="what it likes",
        command="ss -ntup; wirepath copies",
        idle=not who,
    )
