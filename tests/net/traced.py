# SPDX-License-Identifier: Apache-2.0
"""Two hosts at the ends of a wire, and what is traced of what they say to each other."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Self

import pytest

from net.loaded import ids
from wirepath import _core
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link
from wirepath.trace import TracedPacket, follow
from wirepath.trace.packets import Counts, End

NEAR, FAR = "10.77.1.1", "10.77.1.2"
PORT = 5555
ETH_P_ALL = 3


def need_tracing() -> None:
    """Skip where the kernel lets nothing be traced."""
    usable = {kind: (ok, reason) for kind, ok, reason in _core.trace_hooks()}
    ok, reason = usable["raw_tracepoint"]
    if not ok:
        pytest.skip(f"cannot run here: tracing: {reason}")


class Hosts:
    """The wire's two ends, with addresses, and the neighbour known."""

    def __init__(self, wire: Wire) -> None:
        self._made = contextlib.ExitStack()
        self.near, self.far = wire.near, wire.far
        for link, address in ((wire.near, NEAR), (wire.far, FAR)):
            self.run(link, "ip", "address", "replace", f"{address}/24", "dev", link.name)
        wire.near.wait_until_it_sends()
        wire.far.wait_until_it_sends()
        self.run(wire.near, "ip", "neigh", "replace", FAR, "lladdr", wire.far.mac.hex(":"), "dev", wire.near.name)
        self.run(wire.far, "ip", "neigh", "replace", NEAR, "lladdr", wire.near.mac.hex(":"), "dev", wire.far.name)

    def run(self, link: Link, *command: str) -> str:
        """A program at one end."""
        with link.namespace.entered():
            return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def udp(self, link: Link, *, port: int = 0, rcvbuf: int | None = None) -> socket.socket:
        """A UDP socket at one end; bound, if there is a port."""
        with link.namespace.entered():
            made = self._made.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.settimeout(10)
        if rcvbuf is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if port:
            made.bind((FAR if link == self.far else NEAR, port))
        return made

    def tap(self, link: Link) -> socket.socket:
        """A packet socket that sees all that one end's interface receives and sends."""
        with link.namespace.entered():
            made = self._made.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        made.bind((link.name, ETH_P_ALL))
        made.settimeout(10)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def drop_by_netfilter(self, port: int) -> None:
        """What comes in at the far end for that port. Skips where there is no nft, or the kernel has no nf_tables."""
        if shutil.which("nft") is None:
            pytest.skip("cannot run here: nft is missing")
        rules = f"table ip t {{ chain c {{ type filter hook input priority 0; udp dport {port} drop; }}; }}"
        try:
            self.run(self.far, "nft", rules)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot run here: nft: {error.stderr.strip().splitlines()[0]}")
        self._made.callback(self.run, self.far, "nft", "delete table ip t")


def traced(
    filter: str,  # noqa: A002
    trigger: Callable[[], object],
    *,
    count: int = 0,
    seconds: float = 5.0,
    probes: Sequence[str] = (),
) -> tuple[list[TracedPacket], Counts]:
    """What is traced of what `trigger` sends: so many packets, or all of so many seconds."""
    with follow(filter, count=count, seconds=seconds, probes=probes) as trace:
        trigger()
        return list(trace), trace.counts


def functions(packet: TracedPacket) -> list[str]:
    """Where it was, in order."""
    return [event.hook.function for event in packet.events]


def in_order(wanted: Sequence[str], seen: Sequence[str]) -> bool:
    """Whether the wanted ones were seen in this order, whatever was between."""
    rest = iter(seen)
    return all(any(name == other for other in rest) for name in wanted)


def only_end(packet: TracedPacket) -> End:
    """What became of a packet that has one skb."""
    assert len(packet.ends) == 1, packet.ends
    return packet.ends[0]


def programs() -> set[int]:
    """The kernel's BPF programs that are ours, by id."""
    return ids("prog", "on_kfree_skb")


def me() -> int:
    """This process."""
    return os.getpid()
