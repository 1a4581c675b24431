# SPDX-License-Identifier: Apache-2.0
"""pcap-filter(7) expressions: compiled, translated for each hook of the kernel, and compared over packets."""

from __future__ import annotations

import os
from dataclasses import dataclass

from wirepath import _core
from wirepath._core import Filter, compile_filter
from wirepath.errors import WirepathError

__all__ = [
    "HOOKS",
    "Classic",
    "Difference",
    "Extended",
    "Filter",
    "Machine",
    "Program",
    "Verification",
    "compile_filter",
    "translate",
    "verify",
]

HOOKS = ("xdp", "tc", "socket")
"""Where a filter can run as eBPF."""

Classic = tuple[int, int, int, int]
"""An instruction of classic BPF: code, jt, jf, k."""

Extended = tuple[int, int, int, int, int]
"""An instruction of eBPF: code, dst, src, off, imm."""


@dataclass(frozen=True)
class Program:
    """A filter as a function of eBPF, for one hook."""

    hook: str
    instructions: list[Extended]
    begins: list[int]
    """Where the translation of each classic instruction begins; the last: of what rejects."""
    jited_bytes: int | None
    """Machine code that this kernel makes of it, with the few instructions that call it; None: it did not say."""
    problem: str
    """Why the hook cannot run it, or why this process may not load it; empty: it was loaded."""


def translate(compiled: Filter, hook: str) -> Program:
    """Translate for `hook` (one of HOOKS), and load it to see what the kernel makes of it.

    What cannot be translated or loaded has a `problem`, and is no error.
    """
    instructions: list[Extended] = []
    begins: list[int] = []
    try:
        instructions, begins = _core.filter_ebpf(compiled, hook)
        jited = _core.filter_loaded(compiled, hook)["jited_bytes"]
    except WirepathError as error:
        return Program(hook, instructions, begins, None, str(error))
    return Program(hook, instructions, begins, jited or None, "")


@dataclass(frozen=True)
class Machine:
    """What one machine made of a file's packets."""

    name: str
    what: str
    unusable: str
    """Why it could not be asked; empty if it could."""
    given: int
    """Packets that it was asked about."""
    matches: int
    not_given: dict[str, int]
    """Packets that it cannot be given, by reason."""


@dataclass(frozen=True)
class Difference:
    """A packet of which machines say different things."""

    number: int
    """In the file, from 1 on."""
    ts: int
    """ns since 1970-01-01T00:00:00Z."""
    caplen: int
    origlen: int
    linktype: int
    matched_by: list[str]
    rejected_by: list[str]


@dataclass(frozen=True)
class Verification:
    """One filter over one file, in every machine that can run it."""

    packets: int
    differing: int
    """Packets of which machines say different things."""
    first: Difference | None
    machines: list[Machine]


def verify(text: str, path: str | os.PathLike[str]) -> Verification:
    """Run a filter over each packet of a capture file in every machine there is.

    Raises:
        FilterError: the message shows the place in the text.
        FileFormatError: the file is none, or damaged.
    """
    found = _core.verify_filter(text, os.fspath(path))
    return Verification(
        found["packets"],
        found["differing"],
        Difference(**found["first"]) if found["first"] is not None else None,
        [Machine(**machine) for machine in found["machines"]],
    )
