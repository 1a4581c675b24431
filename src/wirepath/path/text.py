# SPDX-License-Identifier: Apache-2.0
"""A path as a tree for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import click

from wirepath.figure import Figure
from wirepath.path.counters import Counter
from wirepath.path.stage import Branch, Path, Stage
from wirepath.printable import printable

__all__ = ["lines", "losses"]

_CONTEXTS = {"hardware": "hardware", "interrupt": "hard interrupt", "softirq": "softirq", "process": "process"}
_NAME_WIDTH = 16


def lines(path: Path, before: Path | None = None, *, width: int = 100, commands: bool = False) -> Iterator[str]:
    """The tree; with `before`, what the counters have added since that."""
    yield (
        click.style(f"{printable(path.interface)}: from the wire to the application", bold=True)
        + f", Linux {path.kernel}"
    )
    if path.engine is not None:
        mode = f" ({path.mode})" if path.mode else ""
        runs = ", which cannot run here now" if path.works is False else ""
        yield f"┃ marks the way to the engine {path.engine}{mode}{runs}"
    yield "│"
    earlier = {stage.name: stage for stage in before.stages} if before is not None else {}
    for stage in path.stages:
        yield from _stage(stage, earlier.get(stage.name), width, commands)
    for name, why in path.missing.items():
        yield printable(f"? {name}: {why}")
    yield from _legend([copy.calls for stage in path.stages for copy in stage.copies])


def _legend(figures: Sequence[Figure]) -> Iterator[str]:
    """What the marks of copies mean, and where references are from."""
    if all(figure.how == "unknown" for figure in figures):
        return
    yield "Copies: measured here, unless marked: ~ inferred, * reference, ? unknown."
    for place in dict.fromkeys(figure.detail for figure in figures if figure.how == "reference"):
        yield f"* measured elsewhere: {place}"


def _stage(stage: Stage, before: Stage | None, width: int, commands: bool) -> Iterator[str]:
    line = "┃" if stage.taken else "│"
    sign = "○" if stage.idle else "●"
    context = _CONTEXTS[stage.context]
    passed = " · not on that way" if stage.taken is False else ""
    head = f"{sign} {printable(stage.title)} "
    rule = "─" * max(2, width - len(head) - len(context) - len(passed) - 4)
    yield click.style(head, bold=not stage.idle and stage.taken is not False) + f"{rule} {context}{passed}"
    rows = [(fact.name, fact.text) for fact in stage.facts]
    if not stage.idle:
        rows += [("reads", stage.reads), ("writes", stage.writes)]
    rows += [("copies", f"{copy.function}: {copy.calls} a packet ({copy.whom})") for copy in stage.copies]
    rows += [("lost", text) for text in losses(stage, before)]
    if commands:
        rows.append(("shown by", stage.command))
    for name, text in rows:
        yield from _row(line, name, text, width)
    for branch in stage.branches:
        yield from _branch(line, branch, width)
    yield line


def _row(line: str, name: str, text: str, width: int) -> Iterator[str]:
    room = max(30, width - _NAME_WIDTH - 4)
    first, *rest = textwrap.wrap(printable(text), room, break_on_hyphens=False) or [""]
    yield f"{line}   {printable(name):<{_NAME_WIDTH}}{first}"
    for more in rest:
        yield f"{line}   {'':<{_NAME_WIDTH}}{more}"


def _branch(line: str, branch: Branch, width: int) -> Iterator[str]:
    verdict = {True: "", False: " · not here", None: " · perhaps"}[branch.works]
    mark = "├" if line == "│" else "┣"
    takes = ", and nobody else gets it" if branch.takes and branch.works else ""
    yield f"{mark}──▶ {branch.name}{verdict}"
    text = branch.why if branch.works is False else f"{branch.how}{takes}"
    for part in textwrap.wrap(printable(text), max(30, width - 8), break_on_hyphens=False):
        yield f"{line}      {part}"


def losses(stage: Stage, before: Stage | None) -> Iterator[str]:
    """The counters that have ever moved; `0` if none has, `?` for what nobody counts."""
    earlier = {counter.key: counter for counter in before.counters} if before is not None else {}
    told = [counter for counter in stage.counters if counter.value or counter.value is None]
    if not told:
        if stage.counters:
            yield "0"
        return
    for counter in told:
        added = counter.since(earlier.get(counter.key)) if before is not None else None
        yield _loss(counter, added)


def _loss(counter: Counter, added: int | None) -> str:
    value = "?" if counter.value is None else f"{counter.value:,}"
    plus = f" (+{added:,})" if added else ""
    of = f", {counter.of}" if counter.of else ""
    note = counter.why
    if not note and counter.loss.again:
        note = f"counted by {counter.loss.again}, too"
    elif not note and not counter.loss.loses:
        note = "no loss by itself"
    return f"{value}{plus}  {counter.name}{of}" + (f" ({note})" if note else "")
