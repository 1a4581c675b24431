# SPDX-License-Identifier: Apache-2.0
"""Repeated measurements, the goals that they are held against, and what is kept of both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Samples:
    """One quantity, measured several times."""

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        """What is compared."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{number(self.median)} {self.unit} ({number(min(self.values))} to {number(max(self.values))})"


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class Goal:
    """A ratio or a figure that is wanted, and what was reached."""

    what: str
    reached: float
    wanted: float
    at_least: bool
    unit: str = "x"
    aim: bool = False
    """Striven for, not promised."""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.reached >= self.wanted if self.at_least else self.reached <= self.wanted

    @property
    def verdict(self) -> str:
        """PASS, or by how much it was missed."""
        if self.met:
            return "PASS"
        by = f"{number(abs(self.reached - self.wanted))} {self.unit}"
        if self.unit == "x":
            by = f"{abs(self.reached / self.wanted - 1):.0%}"
        return f"missed by {by}" + (" (an aim)" if self.aim else "")

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{self.what}: {number(self.reached)} {self.unit} ({sign} {number(self.wanted)}) {self.verdict}"


@dataclass
class Table:
    """Rows of cells under headings, for people."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)


@dataclass
class Section:
    """What one part of the run found."""

    name: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    when: str = ""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Section:
        """The reverse of dataclasses.asdict()."""
        tables = [Table(**table) for table in plain.pop("tables")]
        goals = [Goal(**goal) for goal in plain.pop("goals")]
        return cls(**plain, tables=tables, goals=goals)


Measurement = Callable[[], float]


def interleaved(
    measurements: dict[str, Measurement], repetitions: int, unit: str, *, warm: bool = True
) -> dict[str, Samples]:
    """Each once, then each again, in turn: what the machine does meanwhile befalls them all.

    With `warm` there is one round more, the first, that does not count.
    """
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for repetition in range(repetitions + warm):
        names = list(measurements)
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            value = measurements[name]()
            if repetition != 0 or not warm:
                values[name].append(value)
    return {name: Samples(tuple(found), unit) for name, found in values.items()}
