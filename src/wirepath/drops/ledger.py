# SPDX-License-Identifier: Apache-2.0
"""The ledger: every counter that tells a lost packet, what it has moved since we began, and how fast it moves."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from wirepath.drops.reasons import DropReason, ReasonWatch, XdpLoss
from wirepath.errors import NoPermissionError, UnsupportedError
from wirepath.linux.netns import inside
from wirepath.path.counters import STAGES, Counter, lost_by
from wirepath.path.counters.reading import index_of, read_counters
from wirepath.path.sockets import SocketReader

__all__ = ["Ledger", "Line", "Report"]

_Key = tuple[str, str, str, int]
_ORDER = {stage: place for place, stage in enumerate(STAGES)}


@dataclass(frozen=True)
class Line:
    """One counter: as it stands, and as it moved."""

    counter: Counter
    since: int | None
    """What was added since the ledger was opened; None: unknown."""
    per_second: float | None
    """During the last interval; None: unknown."""
    gone: bool
    """Whose it was is no longer there: the numbers are the last that were seen."""

    @property
    def moved(self) -> bool:
        """Whether something was added since the ledger was opened."""
        return bool(self.since)

    @property
    def lost(self) -> bool:
        """Whether packets were lost here that no other line has counted."""
        loss = self.counter.loss
        return self.moved and loss.loses and not loss.again and not loss.tap

    @property
    def missed(self) -> bool:
        """Whether a capture missed packets here, which themselves went on."""
        return self.moved and self.counter.loss.tap

    def as_object(self) -> dict[str, Any]:
        """As `drops --json` says it."""
        counter, loss = self.counter, self.counter.loss
        return {
            "stage": counter.stage,
            "kind": counter.kind,
            "name": counter.name,
            "of": counter.of,
            "total": counter.value,
            "since": self.since,
            "per_second": None if self.per_second is None else round(self.per_second, 3),
            "loses": loss.loses and not loss.tap,
            "counted_by": loss.again or None,
            "lower_bound": loss.cleared,
            "gone": self.gone,
            "meaning": loss.meaning,
            "remedy": loss.remedy,
            "source": counter.source,
            "why": counter.why,
        }


@dataclass(frozen=True)
class Report:
    """What the ledger says at one moment."""

    interface: str | None
    netns: str | None
    seconds: float
    """Since the ledger was opened."""
    lines: tuple[Line, ...]
    """Every counter, in the order of the packet's way."""
    reasons: tuple[DropReason, ...] | None
    """None: this kernel, or our privilege, does not let us count them; ``missing`` says why."""
    xdp: tuple[XdpLoss, ...] | None
    missing: dict[str, str]
    """What could not be read, and why."""

    @property
    def moved(self) -> tuple[Line, ...]:
        """Lines that have moved since the ledger was opened."""
        return tuple(line for line in self.lines if line.moved)

    @property
    def lost(self) -> int:
        """Packets lost since the ledger was opened, each counted once."""
        return lost_by((line.counter.kind, line.since or 0) for line in self.lines)

    @property
    def missed(self) -> int:
        """Packets that captures missed since then, each counted once a capture: a lower bound."""
        return sum(line.since or 0 for line in self.lines if line.missed)

    def as_object(self) -> dict[str, Any]:
        """As `drops --json` says it."""
        return {
            "v": 1,
            "interface": self.interface,
            "netns": self.netns,
            "seconds": round(self.seconds, 6),
            "lost": self.lost,
            "missed": self.missed,
            "lines": [line.as_object() for line in self.lines],
            "reasons": None if self.reasons is None else [vars(reason) for reason in self.reasons],
            "xdp": None if self.xdp is None else [vars(loss) for loss in self.xdp],
            "missing": self.missing,
        }


class Ledger:
    """Reads the counters again and again; what it reports moved since it was opened."""

    def __init__(self, interface: str | None = None, *, netns: str | None = None, reasons: bool = True) -> None:
        """Of one interface, or of all in the namespace; what belongs to no interface is told either way.

        Raises:
            NotFoundError: there is no such interface or namespace.
            NoPermissionError: entering the namespace needs CAP_SYS_ADMIN.
        """
        self.interface = interface
        self.netns = netns
        self._missing: dict[str, str] = {}
        self._since: dict[_Key, int | None] = {}
        self._gone: dict[_Key, Counter] = {}
        self._sockets = SocketReader()
        with inside(netns):
            self._ifindex = index_of(interface) if interface is not None else None
            self._watch = self._open_watch() if reasons else None
            self._last = self._read()
        self._began = self._read_at = time.monotonic()

    def _open_watch(self) -> ReasonWatch | None:
        try:
            return ReasonWatch()
        except (NoPermissionError, UnsupportedError) as refused:
            self._missing["drop reasons"] = str(refused)
            return None

    def _read(self) -> dict[_Key, Counter]:
        here = {name: index for index, name in socket.if_nameindex()}
        found, missing = read_counters(here if self.interface is None else [self.interface])
        if self.interface is not None:
            self._look_for(self.interface, here)
        sockets = self._sockets.read()
        if sockets.missing:
            missing["captures"] = sockets.missing
        self._missing |= missing
        return {counter.key: counter for counter in [*found, *sockets.losses(self._ifindex)]}

    def _look_for(self, interface: str, here: Mapping[str, int]) -> None:
        """It may go, and come back as another one of its name."""
        if interface in here:
            self._missing.pop(interface, None)
            self._ifindex = here[interface]
        else:
            self._missing[interface] = "it is gone"

    def report(self) -> Report:
        """Read everything once more."""
        with inside(self.netns):
            now = self._read()
            reasons = tuple(self._watch.reasons(self._ifindex)) if self._watch else None
            xdp = tuple(self._watch.xdp_losses(self._ifindex)) if self._watch else None
        if self._watch and self._watch.uncounted:
            self._missing["some drop reasons"] = f"{self._watch.uncounted} were of more kinds than fit"
        read_at = time.monotonic()
        lines = self._lines(now, read_at - self._read_at)
        self._last, self._read_at = now, read_at
        return Report(
            interface=self.interface,
            netns=self.netns,
            seconds=read_at - self._began,
            lines=tuple(lines),
            reasons=reasons,
            xdp=xdp,
            missing=dict(self._missing),
        )

    def _lines(self, now: dict[_Key, Counter], seconds: float) -> list[Line]:
        self._gone |= {key: counter for key, counter in self._last.items() if key not in now}
        lines = [self._line(counter, seconds) for counter in now.values()]
        lines += [
            Line(counter, self._since[key], 0.0, gone=True)
            for key, counter in self._gone.items()
            if key not in now and self._since.get(key)
        ]
        return _in_order(lines)

    def _line(self, counter: Counter, seconds: float) -> Line:
        # One that could not be read for a while goes on from where it was.
        added = counter.since(self._last.get(counter.key, self._gone.get(counter.key)))
        total = None if added is None else (self._since.get(counter.key) or 0) + added
        self._since[counter.key] = total
        return Line(counter, total, None if added is None else added / seconds, gone=False)

    def close(self) -> None:
        """Takes our programs out of the kernel."""
        if self._watch is not None:
            self._watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_order(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: _ORDER[line.counter.stage])
