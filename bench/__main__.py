# SPDX-License-Identifier: Apache-2.0
"""`make bench`: runs the benchmarks and says which goals are met. ARGS: --only SECTION, --quick, --record."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import latency, live, offline, place, sending, startup
from bench.samples import Section

PAGE = place.ROOT / "docs" / "benchmarks.md"
RESULTS = place.CACHE / "results.json"
BEGIN, END = "<!-- figures: written by make bench ARGS=--record -->", "<!-- end of figures -->"


def main() -> int:
    """Returns 0: a goal that is missed is a figure, not a failure."""
    arguments = _parse()
    place.CACHE.mkdir(parents=True, exist_ok=True)
    sections = _earlier() if arguments.only else {}
    for name, measure in _parts(arguments.quick).items():
        if arguments.only and name not in arguments.only:
            continue
        print(f"\n== {name}", flush=True)
        if name in ("live", "latency", "sending") and (reason := live.usable()):
            print(f"left out: {reason}")
            continue
        load = _load()
        sections[name] = measure()
        sections[name].when = f"{_now()}, load {load} before and {_load()} after"
        _print(sections[name])
    conditions = _conditions()
    results = {"conditions": conditions, "sections": [dataclasses.asdict(section) for section in sections.values()]}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nWritten: {RESULTS.relative_to(place.ROOT)}")
    if arguments.record:
        _record(conditions, list(sections.values()))
        print(f"Written: {PAGE.relative_to(place.ROOT)}")
    return 0


def _earlier() -> dict[str, Section]:
    """What an earlier run found, where this one measures only a part."""
    if not RESULTS.exists():
        return {}
    plain = json.loads(RESULTS.read_text(encoding="utf-8"))["sections"]
    return {section["name"]: Section.from_plain(section) for section in plain}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(_parts(quick=True)), help="a section; may be repeated")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it works, not to believe it")
    parser.add_argument("--record", action="store_true", help="write the figures into docs/benchmarks.md")
    return parser.parse_args()


def _parts(quick: bool) -> dict[str, Callable[[], Section]]:
    return {
        "startup": lambda: startup.run(3 if quick else 15),
        "latency": lambda: latency.run(20 if quick else 250),
        "offline": lambda: offline.run(1 if quick else 7),
        "sending": lambda: sending.run(1 if quick else 5, 0.5 if quick else 1.5),
        "live": lambda: live.run(1 if quick else 3, 0.5 if quick else 1.5),
    }


def _conditions() -> dict[str, str]:
    return {
        "kernel": platform.release(),
        "CPU": f"{os.cpu_count()} x {_cpu_model()}",
        "Python": platform.python_version(),
        "peers": _versions(),
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


def _versions() -> str:
    packages = "tcpdump", "libpcap0.8", "tshark", "netsniff-ng", "tcpreplay"
    known = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *packages], check=False, capture_output=True, text=True
    )
    return known.stdout + ", ".join(place.PEERS[:3]).replace("==", " ")


def _print(section: Section) -> None:
    for table in section.tables:
        print(f"\n{table.title}")
        rows = [table.headings, *table.rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(table.headings))]
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    for goal in section.goals:
        print(f"  {'PASS' if goal.met else '----'}  {goal}")
    for note in section.notes:
        print(f"  ({note})")
    sys.stdout.flush()


def _record(conditions: dict[str, str], sections: list[Section]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + "\n" + _markdown(conditions, sections) + END + after, encoding="utf-8")


def _markdown(conditions: dict[str, str], sections: list[Section]) -> str:
    lines = ["", *(f"- {name}: {value}" for name, value in conditions.items()), ""]
    for section in sections:
        lines += [
            f"### {section.name.capitalize()}",
            "",
            section.when + ".",
            "",
            "| goal | reached | wanted | |",
            "|---|---|---|---|",
        ]
        for goal in section.goals:
            wanted = f"{'≥' if goal.at_least else '≤'} {goal.wanted:.3g} {goal.unit}"
            lines.append(f"| {goal.what} | {goal.reached:.3g} {goal.unit} | {wanted} | {goal.verdict} |")
        lines.append("")
        for table in section.tables:
            lines += [
                f"{table.title}:",
                "",
                "| " + " | ".join(table.headings) + " |",
                "|---" * len(table.headings) + "|",
            ]
            lines += ["| " + " | ".join(row) + " |" for row in table.rows]
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
