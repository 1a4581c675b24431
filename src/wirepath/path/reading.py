# SPDX-License-Identifier: Apache-2.0
"""From what the host says to a path."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Any

from wirepath.errors import FileFormatError, error
from wirepath.figure import Figure
from wirepath.linux.netns import inside
from wirepath.path.branches import chosen
from wirepath.path.counters.reading import index_of
from wirepath.path.seen import Seen, see
from wirepath.path.sockets import SocketReader
from wirepath.path.stage import Path, Stage
from wirepath.path.stages import STAGES

__all__ = ["PathReader", "measured_copies", "read"]


class PathReader:
    """Reads one interface's path again and again."""

    def __init__(
        self,
        interface: str,
        *,
        engine: str | None = None,
        netns: str | None = None,
        copies: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Open it.

        Args:
            interface: its name.
            engine: whose way is to be marked.
            netns: a namespace's name (ip-netns(8)), path or process id.
            copies: what `wirepath copies` measured here (`measured_copies`), to be shown instead of the reference.

        Raises:
            NotFoundError: there is no such interface or namespace.
            NoPermissionError: entering the namespace needs CAP_SYS_ADMIN.
            OptionError: no engine of this name captures from interfaces.
        """
        self._interface, self._engine, self._netns, self._copies = interface, engine, netns, copies
        self._sockets = SocketReader()
        with inside(netns):
            index_of(interface)
        self.read()

    def read(self) -> Path:
        """As it is now."""
        with inside(self._netns):
            seen = see(self._interface, self._sockets, self._copies)
            stages = [stage for make in STAGES if (stage := make(seen)) is not None]
        leaves, mode = chosen(self._engine, seen.ways) if self._engine is not None else ("", "")
        return Path(
            interface=self._interface,
            netns=self._netns,
            host=socket.gethostname(),
            kernel=os.uname().release,
            engine=self._engine,
            mode=mode,
            works=next((way.works for way in seen.ways if way.engine == self._engine and mode in ("", way.mode)), None),
            stages=_marked(stages, leaves, self._engine),
            missing=_missing(seen),
        )


def read(
    interface: str,
    *,
    engine: str | None = None,
    netns: str | None = None,
    copies: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """The path as it is now; arguments and errors as of `PathReader`."""
    return PathReader(interface, engine=engine, netns=netns, copies=copies).read()


def _marked(stages: Sequence[Stage], leaves: str, engine: str | None) -> tuple[Stage, ...]:
    """With whether packets on their way to the engine come to each."""
    if engine is None:
        return tuple(stages)
    at = next(place for place, stage in enumerate(stages) if stage.name == leaves)
    return tuple(replace(stage, taken=place <= at or stage.name == "application") for place, stage in enumerate(stages))


def _missing(seen: Seen) -> dict[str, str]:
    """What the stages do not say themselves."""
    told = {"napi", "xdp_features", "tc", "irqs", "nftables"}
    return {name: why for name, why in seen.missing.items() if name not in told}


def measured_copies(file: str) -> list[Mapping[str, Any]]:
    """The measurements in what `wirepath copies --json` wrote.

    Raises:
        FileFormatError: it is not such a file.
    """
    try:
        report = json.loads(File(file).read_text(encoding="utf-8"))
        measurements: list[Mapping[str, Any]] = report["measurements"]
        for one in measurements:
            _ = one["engine"], one["mode"], int(one["size"]), [_figure_of(function) for function in one["functions"]]
    except (ValueError, KeyError, TypeError) as problem:
        doing = f"reading {file}: {type(problem).__name__}: {problem}"
        raise error(FileFormatError, doing, "It takes what `wirepath copies --json` writes") from None
    return measurements


def _figure_of(function: Mapping[str, Any]) -> tuple[str, Figure]:
    """Raises KeyError, TypeError, ValueError: it is none."""
    calls = function["calls"]
    value = calls["value"]
    return function["function"], Figure(None if value is None else float(value), calls["how"], calls["detail"])
