# SPDX-License-Identifier: Apache-2.0
"""A path as a picture: the packet's way down, who works on it at the left, who branches off at the right.

Nothing is told by colour alone: a verdict has a sign and a word, a way has its width and its dashes.
"""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from wirepath.path.stage import Branch, Path, Stage
from wirepath.path.svg import Drawing, wrapped
from wirepath.path.text import losses
from wirepath.printable import printable

__all__ = ["as_html", "as_svg"]

_WIDTH = 1280
_BAND, _TRUNK, _CARD, _CARD_WIDTH = 40.0, 116.0, 156.0, 652.0
_SIDE, _SIDE_WIDTH = 888.0, 352.0
_TOP, _GAP = 168.0, 22.0
_PAD, _HEAD, _LINE = 18.0, 40.0, 19.0
_FACT, _FACT_X, _SMALL = 12.5, 132.0, 12.0
_CONTEXTS = {"hardware": "HARDWARE", "interrupt": "IRQ", "softirq": "SOFTIRQ", "process": "PROCESS"}
_MOST_LOSSES = 4
_PURPOSE = {"hardware": "the NIC, alone", "interrupt": "a CPU, for an instant", "softirq": "a CPU, in batches",
            "process": "the program's own time"}  # fmt: skip

_STYLE = """
text { font-family: Inter, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1b2733; }
.page { fill: #f6f7f4; } .card { fill: #ffffff; stroke: #c6ccd0; stroke-width: 1.25; }
.card.idle { fill: #f6f7f4; stroke-dasharray: 5 4; } .card.off { fill: none; stroke: #d5d9db; }
.h1 { font-size: 30px; font-weight: 700; letter-spacing: -0.4px; } .h2 { font-size: 14px; fill: #55636e; }
.title { font-size: 16.5px; font-weight: 650; } .name { font-size: 12.5px; fill: #5c6a75; }
.mono { font-family: "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.small { font-size: 12px; fill: #5c6a75; } .verb { font-size: 12px; font-weight: 650; fill: #5c6a75; }
.off text, text.off { fill: #98a3ab; }
.trunk { fill: none; stroke: #9aa5ac; stroke-width: 5; stroke-linecap: round; }
.trunk.way { stroke: #0b6e99; stroke-width: 9; } .trunk.left { stroke-dasharray: 1 11; }
.dot { fill: #ffffff; stroke: #9aa5ac; stroke-width: 4; } .dot.way { stroke: #0b6e99; stroke-width: 5; }
.dot.idle { fill: #f6f7f4; } .stub { stroke: #c6ccd0; stroke-width: 1.5; fill: none; }
.branch { fill: none; stroke: #0b6e99; stroke-width: 2.25; } .branch.no { stroke: #98a3ab; stroke-dasharray: 3 5; }
.branch.way { stroke-width: 6; } .tip { fill: #0b6e99; } .tip.no { fill: #98a3ab; }
.engine { fill: #e5f1f6; stroke: #0b6e99; stroke-width: 1.5; } .engine.no { fill: none; stroke: #98a3ab;
stroke-dasharray: 3 4; } .engine.way { stroke-width: 4; } .ename { font-size: 14px; font-weight: 700; fill: #084c6b; }
.ename.no { fill: #5c6a75; } .tag { font-size: 11px; font-weight: 650; fill: #084c6b; letter-spacing: 0.3px; }
.tag.no { fill: #5c6a75; }
.band { opacity: 1; } .band.hardware { fill: #e9dfc8; } .band.interrupt { fill: #f0cfc0; }
.band.softirq { fill: #cfdfe8; } .band.process { fill: #d5e3cd; }
.bandtext { font-size: 11.5px; font-weight: 700; letter-spacing: 1.6px; fill: #3d4a54; }
.pill { fill: none; stroke: #c6ccd0; stroke-width: 1.25; } .pilltext { font-size: 11.5px; fill: #5c6a75; }
.pill.lost { fill: #a32d12; stroke: #a32d12; } .pilltext.lost { fill: #ffffff; font-weight: 700; }
.note { fill: #fbeee9; stroke: #a32d12; stroke-width: 1.25; } .notetext { font-size: 12px; fill: #5d1c0d; }
.copy { fill: #fff6dc; stroke: #9a7400; stroke-width: 1.25; } .copytext { font-size: 11.5px; fill: #4d3b00; }
@media (prefers-color-scheme: dark) {
text { fill: #e6ebee; } .page { fill: #12181d; } .card { fill: #1b242b; stroke: #3c4952; }
.card.idle { fill: #12181d; } .card.off { fill: none; stroke: #2a343b; }
.h2, .name, .small, .verb, .pilltext { fill: #9fb0bb; } .off text, text.off { fill: #62707a; }
.trunk { stroke: #56646e; } .trunk.way { stroke: #58b9e6; } .dot { fill: #12181d; stroke: #56646e; }
.dot.way { stroke: #58b9e6; } .dot.idle { fill: #12181d; } .stub { stroke: #3c4952; }
.branch { stroke: #58b9e6; } .branch.no { stroke: #56646e; } .tip { fill: #58b9e6; } .tip.no { fill: #56646e; }
.engine { fill: #12303f; stroke: #58b9e6; } .engine.no { fill: none; stroke: #56646e; }
.ename, .tag { fill: #a9def7; } .ename.no, .tag.no { fill: #9fb0bb; }
.band.hardware { fill: #4a4230; } .band.interrupt { fill: #55352a; } .band.softirq { fill: #24404f; }
.band.process { fill: #2f4529; } .bandtext { fill: #dde4e8; } .pill { stroke: #3c4952; }
.pill.lost { fill: #e0613f; stroke: #e0613f; } .pilltext.lost { fill: #1c0803; }
.note { fill: #34190f; stroke: #e0613f; } .notetext { fill: #f7c3b3; }
.copy { fill: #352b0c; stroke: #c9a227; } .copytext { fill: #f3dc95; }
}
"""


@dataclass
class _Placed:
    """A stage with the lines that it takes, and where it stands."""

    stage: Stage
    rows: list[tuple[str, list[str], bool]]
    """Name, lines, and whether the text is set in the type of code."""
    losses: list[str]
    """Lines for the note at the right."""
    sides: list[tuple[Branch, list[str]]]
    y: float = 0.0

    @property
    def card_height(self) -> float:
        return _HEAD + sum(len(lines) for _, lines, _ in self.rows) * _LINE + self._copies_height + _PAD - 6

    @property
    def _copies_height(self) -> float:
        return 26.0 * len(self.stage.copies) + (4 if self.stage.copies else 0)

    @property
    def side_height(self) -> float:
        engines = sum(_engine_height(lines) + 10 for _, lines in self.sides)
        note = len(self.losses) * 16 + 18 if self.losses else 0
        return engines + note

    @property
    def height(self) -> float:
        return max(self.card_height, self.side_height)

    @property
    def middle(self) -> float:
        """Where its dot is on the trunk."""
        return self.y + 26


def _engine_height(lines: list[str]) -> float:
    return 36 + 16 * len(lines)


def _place(path: Path) -> list[_Placed]:
    y, found = _TOP, []
    for stage in path.stages:
        placed = _Placed(stage, list(_rows(stage)), _note(stage), [(b, _told(b)) for b in _joined(stage.branches)], y)
        y += placed.height + _GAP
        found.append(placed)
    return found


def _joined(branches: tuple[Branch, ...]) -> Iterator[Branch]:
    """Modes of an engine that are refused for one reason, in one."""
    for (_, works, _), group in groupby(branches, lambda one: (one.engine, one.works, one.why)):
        members = list(group)
        if works is False and len(members) > 1:
            first, *rest = (one.mode for one in members)
            shared = first.partition(", ")[0] + ", "
            yield replace(members[0], mode=" or ".join([first, *(mode.removeprefix(shared) for mode in rest)]))
        else:
            yield from members


def _rows(stage: Stage) -> Iterator[tuple[str, list[str], bool]]:
    room = _CARD_WIDTH - _FACT_X - 2 * _PAD
    for fact in stage.facts:
        yield fact.name, wrapped(fact.text, room, _FACT, wide=0.61), True
    if not stage.idle:
        yield "reads", wrapped(stage.reads, room, _SMALL, wide=0.52), False
        yield "writes", wrapped(stage.writes, room, _SMALL, wide=0.52), False


def _note(stage: Stage) -> list[str]:
    """What was lost, where anything was."""
    if not any(counter.value for counter in stage.counters):
        return []
    all_ = [text for text in losses(stage, None) if not text.startswith("?")]
    more = [f"… and {len(all_) - _MOST_LOSSES} more: wirepath drops"] if len(all_) > _MOST_LOSSES else []
    return [line for text in [*all_[:_MOST_LOSSES], *more] for line in wrapped(text, _SIDE_WIDTH - 32, 12, wide=0.51)]


def _told(branch: Branch) -> list[str]:
    text = branch.why if branch.works is False else branch.how
    return wrapped(f"{text[0].upper()}{text[1:]}.", _SIDE_WIDTH - 32, 12, wide=0.51)


def as_svg(path: Path) -> str:
    """A file of its own: inline styles, no fonts or scripts from elsewhere, light and dark."""
    drawing = Drawing()
    placed = _place(path)
    bottom = placed[-1].y + placed[-1].height
    height = bottom + 96
    drawing.box(0, 0, _WIDTH, height, "page", 0)
    _heading(drawing, path)
    _bands(drawing, placed)
    _trunk(drawing, placed)
    for one in placed:
        _card(drawing, one)
        _side(drawing, one, path)
    _legend(drawing, bottom + 44)
    return drawing.finished(_WIDTH, height, f"The receive path of {path.interface}", _STYLE)


def _heading(drawing: Drawing, path: Path) -> None:
    drawing.text(_BAND, 62, f"{path.interface}: from the wire to the application", "h1")
    today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    where = f"{path.host} · namespace {path.netns}" if path.netns else path.host
    drawing.text(_BAND, 90, f"{where} · Linux {path.kernel} · {today} · wirepath path", "h2")
    if path.engine is not None:
        mode = f" ({path.mode})" if path.mode else ""
        runs = "" if path.works is not False else ", which cannot run here now"
        drawing.text(_BAND, 114, f"The thick line is the way to the engine {path.engine}{mode}{runs}.", "h2")


def _bands(drawing: Drawing, placed: list[_Placed]) -> None:
    """Who does the work, one band for neighbours that share it."""
    for context, group in groupby(placed, lambda one: one.stage.context):
        members = list(group)
        top, bottom = members[0].y, members[-1].y + members[-1].height
        drawing.box(_BAND, top, 34, bottom - top, f"band {context}", 6)
        word, middle = _CONTEXTS[context], (top + bottom) / 2
        if len(word) * 10 + 14 > bottom - top:
            word = word[:4] if len(word) > 4 else word
        turned = f"rotate(-90 {_BAND + 21:.5g} {middle:.5g})"
        drawing.text(_BAND + 21, middle, word, "bandtext", text_anchor="middle", transform=turned)


def _trunk(drawing: Drawing, placed: list[_Placed]) -> None:
    """The way down; where an engine's way is marked, it is thick to where that leaves and dotted below."""
    for one, following in pairwise(placed):
        on = following.stage.taken and one.stage.taken and following.stage.name != "application"
        class_ = "trunk way" if on else "trunk left" if following.stage.taken is False else "trunk"
        if one.stage.taken is False:
            class_ = "trunk left"
        drawing.path(f"M{_TRUNK:.5g} {one.middle:.5g} V{following.middle:.5g}", class_)
    start = placed[0]
    drawing.path(f"M{_TRUNK:.5g} {start.y - 26:.5g} V{start.middle:.5g}", "trunk way" if start.stage.taken else "trunk")
    drawing.text(_TRUNK + 14, start.y - 14, "the wire", "small")
    for one in placed:
        idle = " idle" if one.stage.idle else ""
        way = " way" if one.stage.taken else ""
        drawing.path(f"M{_TRUNK + 8:.5g} {one.middle:.5g} H{_CARD:.5g}", "stub")
        drawing.element("circle", cx=_TRUNK, cy=one.middle, r=8.0, class_=f"dot{idle}{way}")


def _card(drawing: Drawing, one: _Placed) -> None:
    stage, y = one.stage, one.y
    off = " off" if stage.taken is False else ""
    drawing.box(_CARD, y, _CARD_WIDTH, one.card_height, f"card{' idle' if stage.idle else ''}{off}")
    drawing.text(_CARD + _PAD, y + 27, stage.title, f"title{off}")
    _pill(drawing, stage, y)
    line = y + _HEAD + 14
    for name, lines, code in one.rows:
        drawing.text(_CARD + _PAD, line, name, f"{'name' if code else 'verb'}{off}")
        line = drawing.paragraph(_CARD + _PAD + _FACT_X, line, lines, f"{'mono' if code else 'small'}{off}", _LINE)
    line -= 8
    for copy in stage.copies:
        drawing.box(_CARD + _PAD, line, _CARD_WIDTH - 2 * _PAD, 22, "copy", 5)
        told = f"{copy.calls} a packet" if copy.calls.value is not None else "not measured, no reference"
        text = f"copies in {copy.function}: {told} · {copy.whom}"
        drawing.text(_CARD + _PAD + 10, line + 15, text, "copytext")
        line += 26


def _pill(drawing: Drawing, stage: Stage, y: float) -> None:
    """How many were lost here: a word and a sign, not a colour."""
    if stage.missed:
        text, class_ = f"✕ {stage.missed:,} missed", " lost"
    elif stage.lost:
        text, class_ = f"✕ {stage.lost:,} lost", " lost"
    elif stage.counters:
        text, class_ = ("0 lost" if stage.lost == 0 else "? lost"), ""
    else:
        text, class_ = "counts no losses", ""
    width = len(text) * 6.7 + 22
    x = _CARD + _CARD_WIDTH - _PAD - width
    drawing.box(x, y + 11, width, 22, f"pill{class_}", 11)
    drawing.text(x + width / 2, y + 26, text, f"pilltext{class_}", text_anchor="middle")


def _side(drawing: Drawing, one: _Placed, path: Path) -> None:
    y = one.y
    for branch, lines in one.sides:
        ours = branch.engine == path.engine and branch.mode == path.mode
        class_ = " no" if branch.works is False else " way" if ours else ""
        height, start = _engine_height(lines), _CARD + _CARD_WIDTH
        end = _SIDE - 9
        at, leaves = y + 22, min(y + 22, one.y + one.card_height - 12)
        bend = f"C{start + 40:.5g} {leaves:.5g} {end - 44:.5g} {at:.5g} {end:.5g} {at:.5g}"
        drawing.path(f"M{start:.5g} {leaves:.5g} {bend}", f"branch{class_}")
        drawing.path(f"M{_SIDE:.5g} {at:.5g} l-13 -7 v14 z", f"tip{class_}")
        drawing.box(_SIDE, y, _SIDE_WIDTH, height, f"engine{class_}")
        drawing.text(_SIDE + 16, y + 24, branch.engine, f"ename{class_}")
        tag = " · ".join(word for word in (branch.mode, _verdict(branch)) if word)
        drawing.text(_SIDE + _SIDE_WIDTH - 14, y + 24, tag, f"tag{class_}", text_anchor="end")
        drawing.paragraph(_SIDE + 16, y + 43, lines, "small", 16)
        y += height + 10
    if one.losses:
        drawing.box(_SIDE, y, _SIDE_WIDTH, len(one.losses) * 16 + 14, "note", 6)
        drawing.paragraph(_SIDE + 16, y + 20, one.losses, "notetext", 16)


def _verdict(branch: Branch) -> str:
    if branch.works is False:
        return "✕ not here"
    took = "takes the packet" if branch.takes else "gets a copy"
    return took if branch.works else f"perhaps; {took}"


def _legend(drawing: Drawing, y: float) -> None:
    x = _BAND
    for context, word in _CONTEXTS.items():
        drawing.box(x, y - 13, 18, 18, f"band {context}", 4)
        label = f"{word.capitalize() if word != 'IRQ' else 'Interrupt'}: {_PURPOSE[context]}"
        drawing.text(x + 26, y + 1, label, "small")
        x += 60 + len(label) * 6.4
    marks = "Copies a packet: measured here, unless marked ~ inferred or * reference, measured elsewhere. "
    drawing.text(_BAND, y + 26, marks + "Dashed: nothing is configured there, or it cannot run here.", "small")


def as_html(path: Path) -> str:
    """A page with the picture and everything in words, which needs nothing else."""
    title = f"The receive path of {path.interface}"
    details = "\n".join(_details(stage) for stage in path.stages)
    missing = "".join(f"<li>{_escape(name)}: {_escape(why)}</li>" for name, why in path.missing.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{_escape(title)}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>{_PAGE_STYLE}</style></head>
<body><main>
{as_svg(path)}
<h2>Stage by stage</h2>
{details}
{f"<h2>What could not be read</h2><ul>{missing}</ul>" if missing else ""}
</main></body></html>
"""


_PAGE_STYLE = """
body { margin: 0; background: #f6f7f4; color: #1b2733; font: 15px/1.5 Inter, "Segoe UI", Arial, sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 0 16px 48px; } svg { width: 100%; height: auto; }
h2 { margin: 40px 24px 8px; } section { margin: 0 24px 28px; } h3 { margin: 0 0 4px; }
table { border-collapse: collapse; } td, th { padding: 2px 18px 2px 0; text-align: left; vertical-align: top; }
th { font-weight: 400; opacity: 0.7; white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 13px "DejaVu Sans Mono", Menlo, Consolas, monospace; }
@media (prefers-color-scheme: dark) { body { background: #12181d; color: #e6ebee; } }
"""


def _details(stage: Stage) -> str:
    facts = [(fact.name, _escape(fact.text)) for fact in stage.facts]
    facts += [("reads", _escape(stage.reads)), ("writes", _escape(stage.writes))]
    for copy in stage.copies:
        detail = f" ({copy.calls.how}: {copy.calls.detail})" if copy.calls.detail else ""
        facts.append((f"copies, {copy.whom}", _escape(f"{copy.function}: {copy.calls} a packet{detail}")))
    facts += [(f"engine {branch.name}", _escape(branch.why if branch.works is False else branch.how))
              for branch in stage.branches]  # fmt: skip
    facts.append(("shown by", f"<code>{_escape(stage.command)}</code>"))
    rows = "".join(f"<tr><th>{_escape(name)}</th><td>{text}</td></tr>" for name, text in facts)
    counters = "".join(
        f"<tr><th>{_escape(c.name)}</th><td>{_escape(c.of)}</td>"
        f'<td class="n">{"?" if c.value is None else f"{c.value:,}"}</td><td>{_escape(c.loss.meaning)}</td></tr>'
        for c in stage.counters
        if c.value != 0
    )
    return f"<section><h3>{_escape(stage.title)}</h3><table>{rows}</table><table>{counters}</table></section>"


def _escape(text: str) -> str:
    """For the page; also of what is no text."""
    return html.escape(printable(text))
