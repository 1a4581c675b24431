# SPDX-License-Identifier: Apache-2.0
"""Every suite over every NIC in every kernel: a guest for each cell, a line for each cell."""

from __future__ import annotations

import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from . import nics
from .kernel import Kernel
from .machine import Machine
from .tools import Tools

ALL_NICS = (*nics.NICS, nics.VETH)
REPORTS = Path("build/kernels")
_NO_TESTS = 5  # pytest's exit code where nothing was chosen


@dataclass(frozen=True)
class Suite:
    """Some of pytest's tests, and how long all of them may take in a guest."""

    name: str
    path: str
    timeout_s: float
    arguments: tuple[str, ...] = ()
    short: tuple[str, ...] = ()  # what chooses the cases that meet a driver


# Cases that meet a driver: how it hands packets over, tags, padding, losses, what stays on it after a kill.
_CASES = "overflow or order or exact_bytes or snaplen or jumbo or vlan or direction or mode or timestamps or kill_9"
# An engine for each way from a driver: what stands on another engine's way, or on a double of a library, meets none.
_OTHERS = "while_receiving or chosen or pcap or generic or take or napi or dpdk or double"
_MEETS_A_DRIVER = f"({_CASES}) and not ({_OTHERS})"

SUITES = {
    suite.name: suite
    for suite in (
        # What an emulated CPU can send, and as few opens as still show a leak.
        Suite("contract", "tests/contract", 2400, ("--scale", "0.1", "--opens", "20"), short=("-k", _MEETS_A_DRIVER)),
        Suite("instruments", "tests/kernels/instruments", 1800, short=("-m", "not full")),
    )
}


@dataclass(frozen=True)
class Cell:
    """One suite over one NIC in one kernel."""

    kernel: Kernel
    nic: str
    suite: Suite
    full: bool = False

    @property
    def name(self) -> str:
        """As in a file's name."""
        return f"{self.kernel.version}-{self.nic}-{self.suite.name}"

    def command(self) -> list[str]:
        """pytest's, in the guest."""
        pair = [] if self.nic == nics.VETH else ["--nic-pair", ",".join(nics.NICS[self.nic].interfaces)]
        return [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", self.suite.path, *pair),
            *self.suite.arguments,
            *(() if self.full else self.suite.short),
            f"--junit-xml={REPORTS.absolute()}/{self.name}.xml",
        ]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    cell: Cell
    exit_code: int
    seconds: float
    passed: int = 0
    failed: Sequence[str] = ()
    cannot: int = 0
    told: Sequence[str] = ()  # by the machine, where pytest could not

    @property
    def verdict(self) -> str:
        """passed, failed or cannot: nothing of the suite can run over this NIC or kernel."""
        if self.failed or self.exit_code not in (0, _NO_TESTS):
            return "failed"
        return "passed" if self.passed else "cannot"

    def line(self) -> str:
        """One for people."""
        cell = self.cell
        counts = f"{self.passed} passed, {len(self.failed)} failed, {self.cannot} cannot run here"
        return (
            f"{cell.kernel.version:<14} {cell.nic:<10} {cell.suite.name:<11} {self.verdict:<6} "
            f"{counts:<47} {self.seconds:>5.0f} s"
        )


def run_cell(cell: Cell, tools: Tools) -> Outcome:
    """Its guest's output goes to a file in build/kernels, and so does pytest's report."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    report, told = REPORTS / f"{cell.name}.xml", list[str]()
    report.unlink(missing_ok=True)
    machine = Machine(cell.kernel, tools, nics.chosen(cell.nic))
    start = time.monotonic()
    with (REPORTS / f"{cell.name}.log").open("wb") as log:
        code = machine.run(
            cell.command(),
            timeout_s=cell.suite.timeout_s,
            out=REPORTS.absolute(),
            say=told.append,
            output=lambda data: log.write(data) and log.flush(),
        )
        log.write("".join(f"{line}\n" for line in told).encode())
    passed, failed, cannot = read_report(report) if report.is_file() else (0, [], 0)
    return Outcome(cell, code, time.monotonic() - start, passed, failed, cannot, told)


def read_report(path: Path) -> tuple[int, list[str], int]:
    """(passed, the names of those that failed, skipped) in a JUnit report."""
    passed, failed, cannot = 0, list[str](), 0
    for case in ET.parse(path).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in outcomes:
            cannot += 1
        else:
            passed += 1
    return passed, failed, cannot


def cells(kernels: Sequence[Kernel], names: Sequence[str], suites: Sequence[Suite], full: bool) -> list[Cell]:
    """All of them."""
    return [Cell(kernel, nic, suite, full) for kernel in kernels for nic in names for suite in suites]


def run_all(
    wanted: Sequence[Cell], tools: Tools, jobs: int, say: Callable[[str], None] = lambda line: print(line, flush=True)
) -> bool:
    """A line a cell as each ends, and at the end what failed in which. Whether none did."""
    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run_cell, cell, tools) for cell in wanted]):
            outcomes.append(future.result())
            say(outcomes[-1].line())
    for line in _what_failed(outcomes):
        say(line)
    return all(outcome.verdict != "failed" for outcome in outcomes)


def _what_failed(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.verdict == "failed":
            yield f"\n{outcome.cell.name} failed; its output is in {REPORTS / outcome.cell.name}.log"
            yield from (f"  {name}" for name in outcome.failed)
            yield from outcome.told[-10:]
