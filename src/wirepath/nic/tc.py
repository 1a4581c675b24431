# SPDX-License-Identifier: Apache-2.0
"""What tc does at the interface: filters at clsact or ingress, and BPF programs at tcx (rtnetlink, bpf(2))."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wirepath.linux.bpf import attached_programs
from wirepath.linux.netlink import Attributes, attributes, listed
from wirepath.nic.kernel import Kernel
from wirepath.nic.xdp import Program, named

__all__ = ["TcFilter", "read_filters", "read_tcx"]

_RTM_GETTFILTER = 46
_TCMSG = struct.Struct("=BxxxiIII")
_PARENTS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
_KIND, _OPTIONS, _CHAIN = 1, 2, 11
_BPF_ACT, _BPF_NAME, _BPF_ID = 1, 7, 11
_U32_SEL = 5
_ACTIONS_OF = {"bpf": _BPF_ACT, "u32": 7, "flower": 3, "matchall": 2, "basic": 3}
_ACT_KIND, _ACT_OPTIONS, _PARMS = 1, 2, 2
_GENERIC = {-1: "continue", 0: "pass", 1: "reclassify", 2: "drop", 3: "pipe", 4: "stolen", 7: "redirect", 8: "trap"}
_MIRRED = {1: "redirect to", 2: "mirror to", 3: "ingress redirect to", 4: "ingress mirror to"}
_TCX = {"ingress": 46, "egress": 47}


@dataclass(frozen=True)
class TcFilter:
    """A filter of tc."""

    direction: str
    """``ingress`` or ``egress``."""
    kind: str
    """``bpf``, ``flower``, ``u32``, ``matchall``, …"""
    priority: int
    protocol: int
    """The ethertype that it looks at; 3: all."""
    chain: int
    handle: int
    program: Program | None
    """Of ``bpf``."""
    actions: tuple[str, ...]
    """``drop``, ``mirror to span``, … in the order in which they run."""


def read_filters(kernel: Kernel, ifindex: int) -> tuple[TcFilter, ...]:
    """Filters at both sides, in the order in which they run. Raises OSError."""
    return tuple(
        found
        for direction, parent in _PARENTS.items()
        for answer in _dump(kernel, ifindex, parent)
        if (found := _filter(answer, direction)) is not None
    )


def _dump(kernel: Kernel, ifindex: int, parent: int) -> list[bytes]:
    try:
        return kernel.route.dump(_RTM_GETTFILTER, _TCMSG.pack(0, ifindex, 0, parent, 0))
    except OSError as refused:
        if refused.errno in (errno.EINVAL, errno.ENOENT):
            return []  # there is no clsact and no ingress qdisc
        raise


def _filter(answer: bytes, direction: str) -> TcFilter | None:
    _, _, handle, _, info = _TCMSG.unpack_from(answer)
    told = attributes(answer[_TCMSG.size :])
    kind, options = told.text(_KIND) or "", told.nest(_OPTIONS)
    if not options or (kind == "u32" and _U32_SEL not in options):
        return None  # not a filter: the message that announces a chain, or one of u32's hash tables
    program = options.number(_BPF_ID) if kind == "bpf" else None
    return TcFilter(
        direction=direction,
        kind=kind,
        priority=info >> 16,
        protocol=socket.ntohs(info & 0xFFFF),
        chain=told.number(_CHAIN) or 0,
        handle=handle,
        program=_program(direction, program, options.text(_BPF_NAME)) if program else None,
        actions=tuple(_acts(kind, options)),
    )


def _program(direction: str, number: int, label: str | None) -> Program:
    found = named("tc", direction, number)
    return found if found.name is not None else Program("tc", direction, number, label)


def _acts(kind: str, options: Attributes) -> Iterator[str]:
    for _, action in listed(options.get(_ACTIONS_OF.get(kind, -1), b"")):
        told = attributes(action)
        yield _action(told.text(_ACT_KIND) or "", told.nest(_ACT_OPTIONS).get(_PARMS, b""))


def _action(kind: str, parms: bytes) -> str:
    if kind == "gact" and len(parms) >= 12:
        return _GENERIC.get(struct.unpack_from("=i", parms, 8)[0], kind)
    if kind == "mirred" and len(parms) >= 28:
        direction, ifindex = struct.unpack_from("=iI", parms, 20)
        try:
            target = socket.if_indextoname(ifindex)
        except OSError:
            target = f"interface {ifindex}"
        return f"{_MIRRED.get(direction, kind)} {target}"
    return kind


def read_tcx(ifindex: int) -> tuple[Program, ...]:
    """Programs at tcx, from 6.6 on, in the order in which they run.

    Raises:
        OSError: EINVAL before 6.6; EPERM without CAP_NET_ADMIN.
    """
    return tuple(
        named("tcx", direction, number)
        for direction, attach_type in _TCX.items()
        for number in attached_programs(ifindex, attach_type)
    )
