# SPDX-License-Identifier: Apache-2.0
"""The smallest BPF programs: one verdict for every packet, loaded by bpf(2) and attached by their descriptor."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator

import pytest

from wirepath.bench.link import Link

XDP_ABORTED, XDP_DROP, XDP_PASS = 0, 1, 2
TC_ACT_OK, TC_ACT_SHOT = 0, 2
_BPF = {"x86_64": 321}.get(os.uname().machine, 280)
_PROG_LOAD, _SCHED_CLS, _XDP = 5, 3, 6
_INGRESS = 0xFFFFFFF2


@contextlib.contextmanager
def xdp(link: Link, verdict: int) -> Iterator[None]:
    """An XDP program on an interface, until the end of the block."""
    with _loaded(_XDP, verdict) as program:
        link.set(xdp_fd=program)
        try:
            yield
        finally:
            link.set(xdp_fd=-1)


@contextlib.contextmanager
def tc_ingress(link: Link, verdict: int) -> Iterator[None]:
    """A BPF filter of tc on what comes in at an interface, until the end of the block."""
    index = link.index
    with _loaded(_SCHED_CLS, verdict) as program, link.namespace.routes() as routes:
        routes.tc("add", "clsact", index)
        routes.tc(
            "add-filter", "bpf", index, parent=_INGRESS, prio=1, protocol=3, fd=program, name="verdict",
            direct_action=True,
        )  # fmt: skip
        yield
        routes.tc("del", "clsact", index)


@contextlib.contextmanager
def _loaded(kind: int, verdict: int) -> Iterator[int]:
    """`r0 = verdict; exit`."""
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    asked = struct.pack("=IIQQ", kind, 2, ctypes.addressof(code), ctypes.addressof(licence))
    asked = (asked + bytes(24) + b"verdict\0").ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    program = libc.syscall(_BPF, _PROG_LOAD, asked, len(asked))
    if program < 0:
        pytest.skip(f"cannot run here: bpf: {os.strerror(ctypes.get_errno())}")
    try:
        yield program
    finally:
        os.close(program)
