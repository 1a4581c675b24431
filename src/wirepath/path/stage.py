# SPDX-License-Identifier: Apache-2.0
"""The nouns: a path is a row of stages; a stage has facts, counters, copies, and engines that branch off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from wirepath.figure import Figure
from wirepath.path.counters import Counter, lost_by

__all__ = ["Branch", "Context", "Copy", "Fact", "Path", "Stage"]

Context = Literal["hardware", "interrupt", "softirq", "process"]
"""Who does the work: the NIC, a hardware interrupt, the receive softirq (or a NAPI thread), a process."""


@dataclass(frozen=True)
class Fact:
    """How something is configured now."""

    name: str
    text: str


@dataclass(frozen=True)
class Copy:
    """A function that copies a packet's bytes at a stage."""

    function: str
    whom: str
    """On whose way: ``every packet``, or engines with their modes."""
    calls: Figure
    """A packet."""


@dataclass(frozen=True)
class Branch:
    """Where an engine of Wirepath leaves the way to the host's own sockets."""

    engine: str
    mode: str
    """Empty: it has one only."""
    takes: bool
    """The packet goes to the engine and nowhere else."""
    how: str
    """What happens to the packet here."""
    skips: str
    """What it therefore never meets."""
    works: bool | None
    """On this interface; None: only trying tells."""
    why: str

    @property
    def name(self) -> str:
        """``af_xdp (generic XDP, copy)``."""
        return f"{self.engine} ({self.mode})" if self.mode else self.engine


@dataclass(frozen=True)
class Stage:
    """One place on the way."""

    name: str
    """``ring``, ``irq``, ``napi``, ``xdp``, ``skb``, ``gro``, ``generic_xdp``, ``taps``, ``tc``, ``bridge``,
    ``netfilter``, ``routing``, ``socket``, ``application``."""
    title: str
    context: Context
    idle: bool
    """Nothing is configured here: packets pass by."""
    facts: tuple[Fact, ...]
    reads: str
    writes: str
    command: str
    """What shows it in a shell."""
    counters: tuple[Counter, ...] = ()
    """Losses here."""
    copies: tuple[Copy, ...] = ()
    branches: tuple[Branch, ...] = ()
    taken: bool | None = None
    """Whether packets on their way to the engine that was asked for come here; None: none was asked for."""

    @property
    def lost(self) -> int | None:
        """Packets lost here so far, each once; None: nothing here counts any."""
        known = [(c.kind, c.value) for c in self.counters if c.value is not None and not c.loss.tap]
        return lost_by(known) if known else None

    @property
    def missed(self) -> int:
        """Packets that captures missed here, which themselves went on."""
        return sum(c.value or 0 for c in self.counters if c.loss.tap)

    def as_object(self) -> dict[str, Any]:
        """As `path --json` says it."""
        return {
            "name": self.name,
            "title": self.title,
            "context": self.context,
            "idle": self.idle,
            "facts": [vars(fact) for fact in self.facts],
            "reads": self.reads,
            "writes": self.writes,
            "command": self.command,
            "lost": self.lost,
            "missed": self.missed,
            "counters": [
                {"kind": c.kind, "name": c.name, "of": c.of, "total": c.value, "loses": c.loss.loses, "why": c.why}
                for c in self.counters
            ],
            "copies": [
                {"function": copy.function, "whom": copy.whom, "calls": copy.calls.as_object()} for copy in self.copies
            ],
            "branches": [vars(branch) for branch in self.branches],
            "taken": self.taken,
        }


@dataclass(frozen=True)
class Path:
    """The way from the wire to the application, on one interface, as it is configured now."""

    interface: str
    netns: str | None
    host: str
    kernel: str
    engine: str | None
    """Whose way is marked; None: nobody's."""
    mode: str
    works: bool | None
    """Whether that engine can run here in that mode; None: only trying tells, or none was asked for."""
    stages: tuple[Stage, ...]
    missing: dict[str, str]
    """What could not be read, and why."""

    def stage(self, name: str) -> Stage:
        """By its name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def as_object(self) -> dict[str, Any]:
        """As `path --json` says it."""
        return {
            "v": 1,
            "interface": self.interface,
            "netns": self.netns,
            "host": self.host,
            "kernel": self.kernel,
            "engine": self.engine,
            "mode": self.mode,
            "works": self.works,
            "stages": [stage.as_object() for stage in self.stages],
            "missing": self.missing,
        }
