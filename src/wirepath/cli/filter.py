# SPDX-License-Identifier: Apache-2.0
"""``wirepath filter``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise, zip_longest
from typing import Any

import click

from wirepath import _core
from wirepath.cli import bpfcode, ebpfcode
from wirepath.cli.linktypes import describe, number_of
from wirepath.engines import engines
from wirepath.filter import HOOKS, Filter, Program, Verification, compile_filter, translate, verify

__all__ = ["command"]

_WIDTH = 100
_HOOK_NAMES = {"xdp": "XDP", "tc": "tc", "socket": "a socket"}

# Where an engine runs it, which Capture.filtered_by says of one that runs. Empty: its options decide.
_PLACES = {
    "socket": ("kernel", "classic BPF at its packet socket, after the driver, GRO and tc have seen the packet"),
    "tpacket_v3": ("kernel", "classic BPF at its packet socket, before the packet is copied to the ring"),
    "pcap": ("kernel", "classic BPF at libpcap's packet socket"),
    "af_xdp": ("xdp", "eBPF in the XDP program, before there is an skb; what does not match goes on to the stack"),
    "ebpf": ("", "eBPF in its own program, at tc (kernel) or at XDP (xdp), as its option hook says"),
    "pf_ring": ("", "classic BPF in PF_RING's module (kernel); with zc: devices in Wirepath itself (pipeline)"),
    "dpdk": ("pipeline", "classic BPF in Wirepath itself: the kernel never sees the packets"),
    "replay": ("pipeline", "classic BPF in Wirepath itself: a file's packets never pass the kernel's hooks"),
}


@click.command(short_help="Show a filter as classic BPF and as eBPF, and compare them over packets.")
@click.argument("words", nargs=-1, required=True, metavar="EXPRESSION...")
@click.option("-i", "--interface", metavar="IFACE", help="Compile for its packets: their VLAN tags may be metadata.")
@click.option("-y", "--linktype", default="EN10MB", show_default=True, metavar="TYPE", help="Without -i: for this one.")
@click.option("--hook", type=click.Choice(HOOKS), default="xdp", show_default=True, help="Show the eBPF for this one.")
@click.option("--verify", "file", metavar="FILE", help="Run it over a capture file's packets in every machine.")
@click.option("--json", "as_json", is_flag=True, help="An object (docs/json.md).")
def command(
    words: tuple[str, ...], interface: str | None, linktype: str, hook: str, file: str | None, as_json: bool
) -> int:
    """Show what becomes of a pcap-filter(7) EXPRESSION on its way to the packets.

    libpcap compiles it to classic BPF, Wirepath translates that to eBPF, the kernel to machine code; and where each
    engine runs it. docs/filters.md tells the whole story.

    With --verify, each packet of FILE goes through libpcap's machine, Wirepath's, and the kernel's: classic BPF on a
    socket, eBPF on a socket, at tc and at XDP. The status is 1 if two of them ever differ.
    """
    text = " ".join(words)
    if file is not None:
        if interface is not None:
            raise click.UsageError("--verify compiles for the packets of the file: leave -i out")
        return _verify(text, file, as_json)
    number = number_of(linktype)
    compiled = _core.compile_live_filter(text, interface) if interface is not None else compile_filter(text, number)
    programs = [translate(compiled, name) for name in HOOKS]
    if as_json:
        click.echo(json.dumps(_as_object(compiled, programs), indent=2))
    else:
        click.echo("\n".join(_lesson(compiled, interface, hook, programs)))
    return 0


def _places() -> list[dict[str, str]]:
    """Of each engine that is built."""
    rows = []
    for engine in engines():
        place, words = _PLACES.get(engine.name, ("", "it says so when it starts: filtered_by"))
        rows.append({"engine": engine.name, "place": place, "how": words})
    return rows


def _as_object(compiled: Filter, programs: list[Program]) -> dict[str, Any]:
    return {
        "v": 1,
        "filter": compiled.text,
        "linktype": compiled.linktype,
        "cbpf": [
            {**dict(zip(("code", "jt", "jf", "k"), one, strict=True)), "text": bpfcode.in_words(number, one)}
            for number, one in enumerate(compiled.instructions)
        ],
        "ebpf": {program.hook: _program_object(program) for program in programs},
        "engines": _places(),
    }


def _program_object(program: Program) -> dict[str, Any]:
    names = ("code", "dst", "src", "off", "imm")
    return {
        "instructions": [
            {**dict(zip(names, one, strict=True)), "text": ebpfcode.in_words(number, one)}
            for number, one in enumerate(program.instructions)
        ],
        "begins": program.begins,
        "jited_bytes": program.jited_bytes,
        "problem": program.problem,
    }


def _lesson(compiled: Filter, interface: str | None, hook: str, programs: list[Program]) -> Iterator[str]:
    program = next(program for program in programs if program.hook == hook)
    whose = f"packets of {interface}" if interface is not None else "packets of a file"
    yield from ["1. The expression, in the language of pcap-filter(7)", "", f"    {compiled.text}", ""]
    yield f"2. Classic BPF and eBPF, for {describe(compiled.linktype)}, {whose}"
    yield ""
    yield from _paragraph(
        f"Left, what libpcap compiles: {len(compiled.instructions)} instructions of a machine with an accumulator (A), "
        "an index (x) and sixteen words of memory, which can look at the packet and jump forward, and nothing else. It "
        "returns how many bytes to keep; 0 rejects. A load behind the packet's end rejects, too. `wirepath capture -d` "
        "and `tcpdump -d` show the same."
    )
    yield ""
    yield from _paragraph(_about_ebpf(program, hook))
    yield ""
    yield from _side_by_side(compiled, program)
    yield from ["", "3. Machine code: what this kernel's compiler (JIT) makes of the eBPF", ""]
    yield from (f"    {_HOOK_NAMES[one.hook]:<10}{_sizes(one)}" for one in programs)
    yield from ["", "4. Where each engine runs it", ""]
    for row in _places():
        yield f"    {row['engine']:<12}{row['place']:<10}{row['how']}"
    yield ""
    yield "--verify FILE runs it in all of these machines over a file's packets, and says whether they agree."


def _about_ebpf(program: Program, hook: str) -> str:
    if not program.instructions:
        return f"It cannot be eBPF at {_HOOK_NAMES[hook]}: {program.problem}"
    access = (
        "Each load asks a helper of the kernel for the bytes"
        if hook == "socket"
        else "Each load looks whether the bytes lie in the packet's first piece, and reads them there, or else asks a "
        "helper of the kernel, which finds them in the others"
    )
    return (
        f"Right, what Wirepath translates that to, as a function for {_HOOK_NAMES[hook]}: {len(program.instructions)} "
        "instructions of a machine with ten registers of 64 bits. A is r7, x is r8, r6 is the packet's context, r0 the "
        f"verdict. {access}: the kernel's verifier loads only programs of which it can prove that they stay inside."
    )


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="   ", subsequent_indent="   ", break_long_words=False)


def _side_by_side(compiled: Filter, program: Program) -> Iterator[str]:
    classic = [bpfcode.in_words(*one).replace("\t", "  ") for one in enumerate(compiled.instructions)]
    if not program.instructions:
        yield from (f"    {line}" for line in classic)
        return
    extended = [f"{number:5}: {ebpfcode.in_words(number, one)}" for number, one in enumerate(program.instructions)]
    width = max(map(len, classic)) + 2
    parts = pairwise([0, *program.begins, len(extended)])
    for left, (begin, end) in zip(["", *classic, "(rejects)"], parts, strict=True):
        if left == "(rejects)" and begin == end:
            continue
        for one, other in zip_longest([left], extended[begin:end], fillvalue=""):
            yield f"    {one:<{width}} {other}".rstrip()


def _sizes(program: Program) -> str:
    if not program.instructions:
        return program.problem
    count = f"{len(program.instructions):5} instructions"
    if program.problem:
        return f"{count}; not loaded: {program.problem}"
    if program.jited_bytes is None:
        return f"{count}; the kernel takes it, and does not say what it makes of it"
    return f"{count}, {program.jited_bytes:6} bytes of machine code, with what calls it"


def _verify(text: str, path: str, as_json: bool) -> int:
    found = verify(text, path)
    if as_json:
        click.echo(json.dumps({"v": 1, "filter": text, "file": path, **asdict(found)}, indent=2))
    else:
        click.echo("\n".join(_report(text, path, found)))
    return 1 if found.differing else 0


def _report(text: str, path: str, found: Verification) -> Iterator[str]:
    yield f"{text}: over the {found.packets} packets of {path}"
    yield ""
    width = max(len(machine.what) for machine in found.machines)
    for machine in found.machines:
        if machine.unusable:
            yield f"  {machine.what:<{width}}  cannot be asked: {machine.unusable}"
            continue
        yield f"  {machine.what:<{width}}  {machine.matches:>8} match of {machine.given}"
        for why, packets in machine.not_given.items():
            yield f"  {'':<{width}}  {packets:>8} not given: {why}"
    yield ""
    if found.first is None:
        yield "They agree on every packet." if found.packets else "There was nothing to disagree on."
        return
    first = found.first
    yield f"THEY DIFFER on {found.differing} packets. The first is number {first.number}, of {first.caplen} bytes:"
    yield f"  it matches in {', '.join(first.matched_by)}"
    yield f"  it is rejected by {', '.join(first.rejected_by)}"
