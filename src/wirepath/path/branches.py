# SPDX-License-Identifier: Apache-2.0
"""Where each engine branches off, and which function copies a packet where: the two tables of this room."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from wirepath.errors import OptionError, error
from wirepath.figure import Figure
from wirepath.nic import Way
from wirepath.path.stage import Branch, Copy

__all__ = ["BRANCHES", "COPIES", "branches_at", "chosen", "copies_at"]


class _Branch(NamedTuple):
    engine: str
    mode: str
    """As `wirepath.nic.ways` names it; empty: any."""
    stage: str
    how: str
    skips: str


_TAP_SKIPS = "tc, netfilter, routing and sockets: its copy does not meet them. It sees packets that they drop later"

BRANCHES = (
    _Branch(
        "af_xdp",
        "native XDP, zero-copy",
        "xdp",
        "the program redirects the frame; the NIC has already written it into the application's memory",
        "sk_buff, GRO, taps and the whole stack",
    ),
    _Branch(
        "af_xdp",
        "native XDP, copy",
        "xdp",
        "the program redirects the frame; the kernel copies it into the application's memory",
        "sk_buff, GRO, taps and the whole stack",
    ),
    _Branch(
        "af_xdp",
        "generic XDP, copy",
        "generic_xdp",
        "the program redirects the packet; the kernel copies it out of the sk_buff",
        "taps, tc, netfilter, routing and sockets",
    ),
    _Branch(
        "ebpf",
        "tc",
        "tc",
        "the program copies it into a block of the mapped ring, in front of the programs that are there",
        "with mode=take the rest of tc, netfilter, routing and sockets; else its copy does not meet them",
    ),
    _Branch(
        "ebpf",
        "native XDP",
        "xdp",
        "the program copies the frame into a block of the mapped ring",
        "sk_buff, GRO, taps and the whole stack; with mode=take the original, too",
    ),
    _Branch(
        "ebpf",
        "generic XDP",
        "generic_xdp",
        "the program copies the packet into a block of the mapped ring",
        "taps, tc, netfilter, routing and sockets; with mode=take the original, too",
    ),
    _Branch(
        "tpacket_v3",
        "",
        "taps",
        "the kernel copies it into a block of the mapped ring; the program reads it there",
        _TAP_SKIPS,
    ),
    _Branch(
        "socket",
        "",
        "taps",
        "the socket holds on to the sk_buff; recvmmsg copies it to the program",
        _TAP_SKIPS,
    ),
    _Branch(
        "pcap",
        "",
        "taps",
        "libpcap's own TPACKET ring: the kernel copies it into a block",
        _TAP_SKIPS,
    ),
    _Branch(
        "pf_ring",
        "",
        "taps",
        "PF_RING's module copies it into a slot of the mapped ring; the program copies it from there",
        _TAP_SKIPS,
    ),
    _Branch(
        "napi",
        "",
        "taps",
        "as tpacket_v3, whose ring it is; with via=xdp as af_xdp. How the NIC interrupts and is polled is set for it",
        _TAP_SKIPS,
    ),
    _Branch(
        "dpdk",
        "net_af_packet",
        "taps",
        "the kernel copies it into a TPACKET ring of DPDK's driver, which copies it into an mbuf",
        _TAP_SKIPS,
    ),
    _Branch(
        "dpdk",
        "net_af_xdp",
        "xdp",
        "the XDP program of DPDK's driver redirects the frame; the kernel copies it into an mbuf's memory",
        "sk_buff, GRO, taps and the whole stack",
    ),
)
"""Every engine that captures from interfaces, where it leaves the way."""


class _Copy(NamedTuple):
    stage: str
    function: str
    engine: str
    mode: str
    """As `wirepath copies` names it."""
    whom: str


COPIES = (
    _Copy("skb", "driver_copy", "tpacket_v3", "default", "small packets, where the driver has copybreak"),
    _Copy("xdp", "__xsk_rcv", "af_xdp", "native copy", "af_xdp, native copy"),
    _Copy("xdp", "__xsk_rcv", "af_xdp", "zero-copy", "af_xdp, native zero-copy"),
    _Copy("generic_xdp", "pskb_expand_head", "af_xdp", "generic", "af_xdp, generic: headroom"),
    _Copy("generic_xdp", "__xsk_rcv", "af_xdp", "generic", "af_xdp, generic"),
    _Copy("taps", "skb_copy_bits", "tpacket_v3", "default", "tpacket_v3"),
    _Copy("taps", "skb_copy_bits", "pcap", "default", "pcap"),
    _Copy("application", "skb_copy_datagram_iter", "socket", "default", "socket, and any program that calls recv"),
)
"""The copies on the way, as `wirepath copies` counts them."""


def branches_at(stage: str, ways: Sequence[Way]) -> tuple[Branch, ...]:
    """The engines that leave there; `ways`: each engine's verdict on the interface."""
    here: list[Branch] = []
    for row in BRANCHES:
        if row.stage == stage:
            here += [_branch(row, way) for way in ways if way.engine == row.engine and row.mode in ("", way.mode)]
    return tuple(here)


def _branch(row: _Branch, way: Way) -> Branch:
    return Branch(way.engine, row.mode, way.takes_packets, row.how, row.skips, way.works, way.why)


def chosen(engine: str, ways: Sequence[Way]) -> tuple[str, str]:
    """The stage where this engine leaves on this interface, and its mode: the first that works, else that may work.

    Raises:
        OptionError: no engine of this name captures from interfaces.
    """
    rows = [row for row in BRANCHES if row.engine == engine]
    if not rows:
        known = ", ".join(dict.fromkeys(row.engine for row in BRANCHES))
        raise error(OptionError, f"there is no engine {engine} that captures from interfaces", f"There are: {known}")
    verdicts = {(way.engine, way.mode): way.works for way in ways}
    for wanted in (True, None):
        for row in rows:
            if not row.mode or verdicts.get((row.engine, row.mode)) is wanted:
                return row.stage, row.mode
    return rows[-1].stage, rows[-1].mode


def copies_at(stage: str, driver: str, measured: Sequence[Mapping[str, Any]]) -> tuple[Copy, ...]:
    """The functions that copy there, with how often a packet: measured here if it was, else the reference."""
    return tuple(
        Copy(row.function, row.whom, _measured(row, measured) or _reference(row, driver))
        for row in COPIES
        if row.stage == stage
    )


def _measured(row: _Copy, measured: Sequence[Mapping[str, Any]]) -> Figure | None:
    """From the measurements in a report of `wirepath copies --json`, the largest frames first."""
    for one in sorted(measured, key=lambda one: -int(one["size"])):
        if (one["engine"], one["mode"]) == (row.engine, row.mode):
            for function in one["functions"]:
                if function["function"] == row.function and function["calls"]["value"] is not None:
                    how: Literal["measured", "inferred"] = function["calls"]["how"]
                    return Figure(function["calls"]["value"], how, function["calls"]["detail"])
    return None


def _reference(row: _Copy, driver: str) -> Figure:
    try:
        table = importlib.import_module("wirepath.trace.reference")
    except ModuleNotFoundError:
        return Figure(None, "unknown", "this version has no reference data")
    found: Figure = table.reference(
        row.engine, row.mode, row.function, driver=driver, kernel=platform.release(), what="calls"
    )
    return found
