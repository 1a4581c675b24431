# SPDX-License-Identifier: Apache-2.0
"""``wirepath drops``."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence

import click

from wirepath.cli.group import EXIT_DROPPED
from wirepath.cli.interfaces import name_of
from wirepath.cli.waiting import Patience, Seconds
from wirepath.drops import Ledger, Line, Report
from wirepath.path.counters import STAGES, TABLE
from wirepath.printable import printable

__all__ = ["command"]

_SHOWN_REASONS = 12
_Row = tuple[str, str, str, str, str, str]


@click.command(short_help="Say where packets are lost, stage by stage, and what helps.")
@click.argument("interface", required=False, metavar="[IFACE]")
@click.option("--netns", metavar="NS", help="Another network namespace: its name, path, or a process id.")
@click.option("-w", "--watch", is_flag=True, help="Show it again and again, until Ctrl-C or --seconds.")
@click.option("--interval", type=Seconds(min=0.05), default=1.0, show_default=True, help="Seconds between.")
@click.option("--seconds", type=Seconds(min=0), help="How long to observe; without --watch 1 second.")
@click.option("-a", "--all", "every", is_flag=True, help="Every counter, also those that are 0.")
@click.option("--fail-on-drop", is_flag=True, help="Exit with status 3 if packets were lost or missed meanwhile.")
@click.option("--explain", is_flag=True, help="Say what each counter means and what helps, and end.")
@click.option("--json", "as_json", is_flag=True, help="An object; with --watch one a line (docs/json.md).")
def command(
    interface: str | None,
    netns: str | None,
    watch: bool,
    interval: float,
    seconds: float | None,
    every: bool,
    fail_on_drop: bool,
    explain: bool,
    as_json: bool,
) -> int:
    """Say where packets that came in were lost: NIC, driver, backlog, XDP, tc, netfilter, protocols, sockets, captures.

    Without IFACE: all interfaces of the network namespace. Each counter is shown with its total, and with what it moved
    while it was observed. `?` is what nobody counts. A line in brackets counts a loss that another line has counted.
    """
    if explain:
        click.echo("\n".join(_explanations(TABLE)))
        return 0
    name = name_of(interface, netns) if interface is not None else None
    with Ledger(name, netns=netns) as ledger, Patience() as patience:
        report = ledger.report()
        for last in _moments(patience, watch, interval, seconds):
            report = ledger.report()
            if as_json:
                click.echo(json.dumps(report.as_object(), indent=None if watch else 2))
            else:
                _show(report, every=every, clear=watch, explained=not watch or last)
    return EXIT_DROPPED if fail_on_drop and (report.lost or report.missed) else 0


def _moments(patience: Patience, watch: bool, interval: float, seconds: float | None) -> Iterator[bool]:
    """When to report; whether it is for the last time."""
    end = None if watch and seconds is None else time.monotonic() + (1.0 if seconds is None else seconds)
    while True:
        left = None if end is None else end - time.monotonic()
        pause = interval if watch else 3600.0
        impatient = patience.wait(pause if left is None else max(0.0, min(pause, left)))
        last = impatient or (end is not None and time.monotonic() >= end)
        if watch or last:
            yield last
        if last:
            return


def _show(report: Report, *, every: bool, clear: bool, explained: bool) -> None:
    text = [_title(report), "", *_table(_chosen(report.lines, every))]
    text += [*_reasons(report), *_xdp(report), *(printable(f"? {what}: {why}") for what, why in report.missing.items())]
    if explained and report.moved:
        text += ["", *_explanations({line.counter.kind: None for line in report.moved})]
    if clear and sys.stdout.isatty():
        click.clear()
    click.echo("\n".join(text))


def _title(report: Report) -> str:
    where = report.interface or "all interfaces"
    if report.netns:
        where += f" of the network namespace {report.netns}"
    lost = f"{report.lost:,} packets lost" if report.lost != 1 else "1 packet lost"
    missed = f", and {report.missed:,} or more missed by captures" if report.missed else ""
    return f"{printable(where)}, observed for {report.seconds:.1f} s: {lost}{missed}"


def _chosen(lines: Sequence[Line], every: bool) -> list[Line]:
    """What has ever moved, and what nobody knows."""
    return [line for line in lines if every or line.counter.value is None or line.counter.value or line.moved]


def _table(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return ["No counter that tells a loss has ever moved here."]
    rows: list[_Row] = [("stage", "counter", "of", "total", "since", "per s"), *map(_row, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    aligned = [
        "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [aligned[0], *(_emphasized(text, line) for text, line in zip(aligned[1:], lines, strict=True))]


def _row(line: Line) -> _Row:
    counter = line.counter
    name = f"({counter.name})" if counter.loss.again or not counter.loss.loses else counter.name
    at_least = "≥ " if counter.loss.cleared and line.moved else ""
    return (
        STAGES[counter.stage],
        printable(name),
        printable(counter.of) + (" (gone)" if line.gone else ""),
        _number(counter.value),
        at_least + _number(line.since),
        "?" if line.per_second is None else f"{line.per_second:,.0f}" if line.per_second else "0",
    )


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _emphasized(text: str, line: Line) -> str:
    return click.style(text, bold=True) if line.lost or line.missed else text


def _reasons(report: Report) -> Iterator[str]:
    """The kernel's own view of the same losses."""
    if not report.reasons:
        return
    yield "\nThe kernel's reasons meanwhile, for packets that it threw away (the same losses, seen once more):"
    for reason in report.reasons[:_SHOWN_REASONS]:
        where = printable(" ".join(word for word in (reason.protocol, reason.interface) if word))
        yield f"{reason.packets:>10,}  {reason.reason:<28} {where:<14} {reason.location}"
    if len(report.reasons) > _SHOWN_REASONS:
        yield f"{'':>10}  … and {len(report.reasons) - _SHOWN_REASONS} more: --json has all"


def _xdp(report: Report) -> Iterator[str]:
    if report.xdp:
        yield "\nFrames that XDP lost meanwhile without having said XDP_DROP:"
        for loss in report.xdp:
            yield f"{loss.frames:>10,}  {loss.kind}: {loss.detail} at {printable(loss.interface)}"


def _explanations(kinds: Iterable[str]) -> Iterator[str]:
    for kind in kinds:
        loss = TABLE[kind]
        counted = f" Counted by {loss.again}, too." if loss.again else ""
        sign = "" if loss.loses else " (no loss by itself)"
        text = f"{loss.meaning[0].upper()}{loss.meaning[1:]}{sign}.{counted} {loss.remedy}"
        yield textwrap.fill(f"{kind}: {text}", 110, subsequent_indent="    ", break_on_hyphens=False)
