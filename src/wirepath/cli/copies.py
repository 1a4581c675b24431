# SPDX-License-Identifier: Apache-2.0
"""``wirepath copies``."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wirepath.errors import NoPermissionError, OptionError, error
from wirepath.figure import Figure

if TYPE_CHECKING:
    from rich.console import Console

    from wirepath.trace.copies import Count, Measurement, Report
    from wirepath.trace.pair import Pair

__all__ = ["command"]

_LAB_MTU = 1500  # bytes: AF_XDP's native mode takes no more on every kernel
_WIDTH = 150  # columns, where nobody looks

_LEGEND = """\
copies: how many times the CPU copied each byte of a packet, in the kernel and in Wirepath. Others are of a packet, too.
No mark: measured here, now. ~ inferred from what was. * NOT measured here, but where "how" says. ? not known.
"""


@click.command(short_help="Count the CPU's copies of a packet, function by function, for each engine.")
@click.option("--engine", "engines", multiple=True, metavar="ENGINE", help="Only this engine; may be repeated.")
@click.option(
    "--size", "sizes", type=int, multiple=True, metavar="BYTES", help="Of the frames; may be repeated [200, 1000]."
)
@click.option("--count", type=int, default=1000, metavar="PACKETS", help="Of each measurement [1000].")
@click.option("--gap-us", type=click.IntRange(min=0), default=500, help="From one packet to the next [500].")
@click.option(
    "--pair",
    metavar="A,B",
    help="Send from interface A, capture on B, which are joined and not in use; without, a private veth pair.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, for machines (docs/json.md).")
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Add what was observed to FILE, in the form of Wirepath's reference data.",
)
def command(
    engines: tuple[str, ...],
    sizes: tuple[int, ...],
    count: int,
    gap_us: int,
    pair: str | None,
    as_json: bool,
    record: Path | None,
) -> None:
    """Count how often the CPU copies a packet on its way to a program: for each engine, function by function.

    Known packets are sent through a pair of interfaces, and programs in the kernel count what is done to these packets
    and no others. What this kernel does not let be observed is filled in from reference data, and marked.
    docs/copies.md says what counts as a copy.
    """
    from wirepath.trace import copies

    with _pair(pair) as joined:
        report = copies.measure(
            joined,
            engines=engines,
            sizes=tuple(dict.fromkeys(sizes)) or copies.SIZES,
            count=count,
            gap_us=gap_us,
            progress=_say if sys.stderr.isatty() else lambda _: None,
        )
    if record:
        _record(report, record)
    if as_json:
        click.echo(json.dumps(report.as_object(), indent=2))
    else:
        _show(report)


def _say(what: str) -> None:
    click.echo(f"\r\033[K{what}\r", nl=False, err=True)


@contextlib.contextmanager
def _pair(text: str | None) -> Iterator[Pair]:
    from wirepath.bench.lab import Wire
    from wirepath.bench.namespace import privileged
    from wirepath.trace.pair import Endpoint, Pair

    if text is not None:
        yield Pair.named(text)
        return
    if not privileged():
        doing = "making a private pair of interfaces"
        raise error(NoPermissionError, doing, "This needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN: run with sudo")
    with Wire(mtu=_LAB_MTU) as wire:
        yield Pair(*(Endpoint(end.name, end.namespace.path) for end in (wire.near, wire.far)))


def _record(report: Report, path: Path) -> None:
    from wirepath.trace import reference

    if not report.driver:
        raise error(OptionError, "recording a NIC whose driver does not say its name", "Leave --record out")
    text = reference.merged(path, report.as_reference())
    path.write_text(text, encoding="utf-8")


def _show(report: Report) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_WIDTH, highlight=False)
    gaps = [one.gap_us for one in report.measurements if one.gap_us]
    gap = f", one every {sum(gaps) / len(gaps):.0f} µs" if gaps else ""
    console.print(f"Linux {report.kernel}, {report.driver or 'a NIC'}: {report.packets:,} packets each{gap}.\n")
    for note in report.notes:
        console.print(note, markup=False)
    _summary(console, report)
    console.print(_LEGEND, markup=False)
    for (engine, mode), found in groupby(report.measurements, key=lambda one: (one.engine, one.mode)):
        _details(console, engine, mode, list(found))


def _summary(console: Console, report: Report) -> None:
    from rich.table import Table

    table = Table(title="Copies by the CPU, a packet", title_justify="left")
    for name in ("engine", "mode"):
        table.add_column(name)
    heads = ("frame", "received", "copies", "bytes", "system calls", "wakeups", "interrupts", "NAPI polls")
    for name in heads:
        table.add_column(name, justify="right")
    for one in report.measurements:
        events = (one.count(name).calls for name in ("sys_enter", "sched_waking", "irq_handler_entry", "napi_poll"))
        received = f"{one.received:,}" if not one.problem else "-"
        table.add_row(
            *(one.engine, one.mode, f"{one.size} B", received, _shown(one.copies), _shown(one.bytes)),
            *map(_shown, events),
        )
    console.print(table)


def _shown(figure: Figure) -> str:
    return str(figure if figure.value is None else replace(figure, value=round(figure.value, 3)))


def _details(console: Console, engine: str, mode: str, found: list[Measurement]) -> None:
    from rich.table import Table

    console.print(f"[bold]{engine}[/bold]" + (f", {mode}" if mode != "default" else ""))
    first = found[0]
    for line in dict.fromkeys(one.granted or f"did not run here: {one.problem}" for one in found):
        console.print(f"  {line}", markup=False)
    table = Table(box=None, padding=(0, 1))
    table.add_column("  function")
    for one in found:
        table.add_column(f"calls, {one.size} B", justify="right")
        table.add_column("bytes", justify="right")
    table.add_column("how")
    for index, count in enumerate(first.counts):
        row = [one.counts[index] for one in found]
        if any(one.calls.value for one in row):
            table.add_row(*_cells(row), count.calls.detail)
    table.add_row("  DMA", *["-", "-"] * len(found), first.dma)
    console.print(table)
    listed = {one.function for each in found for one in each.counts if one.calls.value}
    _not_listed(console, [one for one in first.counts if one.function not in listed])
    for side, calls in first.sender.items():
        console.print(f"  {side} on the sending side, which is no part of receiving: {calls:g}", markup=False)
    for one in found:
        if one.system_calls:
            calls_by_name = ", ".join(f"{name} {_shown(calls)}" for name, calls in one.system_calls.items())
            console.print(f"  system calls, {one.size} B: {calls_by_name}", markup=False)
    console.print()


def _cells(row: list[Count]) -> list[str]:
    cells = [f"  {row[0].function}"]
    for one in row:
        copying = one.role in ("copy", "helper")
        cells += [_shown(one.calls), _shown(one.bytes) if copying else ""]
    return cells


def _not_listed(console: Console, counts: list[Count]) -> None:
    """What was seen to be 0, what is 0 in the references, and what nobody knows: never the same."""
    zero = [one for one in counts if one.calls.value == 0]
    _group(console, "0, measured", [one for one in zero if one.calls.how in ("measured", "inferred")])
    rest = [one for one in zero if one.calls.how == "reference"]
    for where in dict.fromkeys(one.calls.detail for one in rest):
        _group(console, f"0* ({where})", [one for one in rest if one.calls.detail == where])
    unknown = [one for one in counts if one.calls.value is None]
    for why in dict.fromkeys(one.calls.detail for one in unknown):
        _group(console, f"? ({why})", [one for one in unknown if one.calls.detail == why])


def _group(console: Console, what: str, counts: list[Count]) -> None:
    if counts:
        console.print(f"  {what}: {', '.join(one.function for one in counts)}", markup=False)
