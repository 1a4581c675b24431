# SPDX-License-Identifier: Apache-2.0
"""Copies that were measured elsewhere, on kernels that let everything be observed: copies.json beside this file.

`wirepath copies --record FILE` writes such a file. Nothing of it is ever shown without the kernel, NIC and date.
"""

from __future__ import annotations

import functools
import json
import math
import platform
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from wirepath.errors import FileFormatError, error
from wirepath.figure import Figure

__all__ = ["Reference", "copies", "merged", "nearest", "parse", "reference", "rows"]

VERSION = 1
OF_THE_DRIVER = {
    *("driver_copy", "napi_gro_receive", "irq_handler_entry", "napi_poll", "net_rx_softirq"),
    *("napi_alloc_skb", "napi_build_skb", "build_skb", "__netdev_alloc_skb", "__alloc_skb"),
}
"""Hooks of which another driver's figure says nothing."""
_FILE = "copies.json"


@dataclass(frozen=True)
class Reference:
    """One engine in one mode with frames of one size, on one kernel and NIC."""

    kernel: str
    nic: str
    driver: str
    machine: str
    """That the NIC was in, or that emulated it."""
    date: str
    """ISO 8601."""
    packets: int
    engine: str
    mode: str
    """As `wirepath copies` names it: ``default``, ``generic``, …"""
    size: int
    """Bytes of the frames."""
    gap_us: float
    """From one packet to the next."""
    observed: frozenset[str]
    """The hooks that were counted: one that is not in ``counts`` was seen to be 0."""
    counts: dict[str, tuple[float, float]]
    """Calls and bytes a packet."""
    inferred: frozenset[str]
    system_calls: dict[str, float]

    @property
    def where(self) -> str:
        """The conditions, in words."""
        return f"Linux {self.kernel}, {self.nic}, {self.date}"

    def figure(self, hook: str, what: Literal["calls", "bytes"], size: int | None = None) -> Figure:
        """Of one packet. Bytes of another size are scaled, and called inferred."""
        if hook not in self.observed:
            return Figure(None, "unknown", f"not observed on {self.where}")
        value = self.counts.get(hook, (0.0, 0.0))[what == "bytes"]
        if size is None or size == self.size:
            return Figure(value, "reference", self.where)
        where = f"{self.where}, frames of {self.size} B"
        if what == "bytes" and value:
            return Figure(value * size / self.size, "inferred", f"scaled from a reference: {where}")
        return Figure(value, "reference", where)


def parse(text: str, name: str = "the reference data") -> list[Reference]:
    """The rows of such a file. Raises FileFormatError."""
    try:
        data = json.loads(text)
        if data["v"] != VERSION:
            raise error(FileFormatError, f"{name} has version {data['v']}", f"This Wirepath reads version {VERSION}")
        return [_row(run, row) for run in data["runs"] for row in run["measurements"]]
    except (KeyError, TypeError, ValueError) as failure:
        if isinstance(failure, FileFormatError):
            raise
        raise error(FileFormatError, f"{name} is damaged: {failure!r}", "Record it anew") from failure


def _row(run: dict[str, Any], row: dict[str, Any]) -> Reference:
    return Reference(
        **{name: run[name] for name in ("kernel", "nic", "driver", "machine", "date", "packets")},
        **{name: row[name] for name in ("engine", "mode", "size", "gap_us", "system_calls")},
        observed=frozenset(run["observed"]),
        counts={hook: (float(calls), float(bytes_)) for hook, (calls, bytes_) in row["counts"].items()},
        inferred=frozenset(run["inferred"]),
    )


@functools.cache
def _shipped() -> tuple[Reference, ...]:
    file = resources.files("wirepath.trace").joinpath(_FILE)
    return tuple(parse(file.read_text(encoding="utf-8"), _FILE))


def rows() -> tuple[Reference, ...]:
    """All that comes with this version of Wirepath."""
    return _shipped()


def _version(kernel: str) -> float:
    numbers = [int(number) for number in re.findall(r"\d+", kernel)[:2]]
    return numbers[0] + numbers[1] / 100 if len(numbers) == 2 else 0.0


def nearest(
    engine: str, mode: str, *, driver: str = "", size: int = 1000, kernel: str = "", hook: str | None = None
) -> Reference | None:
    """The row that comes closest: of that driver, else of another; then by size; then by kernel (default: this one).

    With a hook, among the rows that observed it. The engine and the mode are never others.
    """
    wanted = _version(kernel or platform.release())

    def distance(row: Reference) -> tuple[bool, bool, float, float]:
        other = row.driver != driver
        # veth takes detours of its own: any other stands for a NIC that was never measured.
        return other, row.driver == "veth", abs(math.log(row.size / size)), abs(_version(row.kernel) - wanted)

    fitting = [
        row for row in rows() if (row.engine, row.mode) == (engine, mode) and (hook is None or hook in row.observed)
    ]
    return min(fitting, key=distance, default=None)


def reference(
    engine: str,
    mode: str,
    function: str,
    *,
    driver: str = "",
    size: int = 1000,
    kernel: str = "",
    what: Literal["calls", "bytes"] = "bytes",
) -> Figure:
    """How often a packet passes a function, or how many of its bytes are copied there, as measured elsewhere.

    Args:
        engine: as in ``wirepath engines``.
        mode: as in ``wirepath copies``: ``default``, or of ``af_xdp``: ``generic``, ``native copy``, ``zero-copy``.
        function: a hook of ``native/trace/copies/hooks.def``.
        driver: of the NIC; that of another is taken, and named, where this one was never measured.
        size: bytes of the frame.
        kernel: its release; default: the running one.
        what: calls or bytes, a packet.
    """
    row = nearest(engine, mode, driver=driver, size=size, kernel=kernel, hook=function)
    if row is not None and function in OF_THE_DRIVER and row.driver != driver:
        return Figure(None, "unknown", f"never measured with the driver {driver or 'of this interface'}")
    if row is None:
        return Figure(None, "unknown", f"never measured for {engine}, {mode}")
    return row.figure(function, what, size)


def copies(engine: str, mode: str, *, driver: str = "", size: int = 1000, kernel: str = "") -> Figure:
    """How often the CPU copies a packet on the whole way, in the kernel and in Wirepath, as measured elsewhere.

    Where the driver was never measured, copies that it may make itself are left out, and ``detail`` says so.
    """
    from wirepath.trace.copies import copying  # it knows which hooks copy

    row = nearest(engine, mode, driver=driver, size=size, kernel=kernel)
    if row is None:
        return Figure(None, "unknown", f"never measured for {engine}, {mode}")
    same = row.driver == driver
    hooks = [hook for hook in copying() if same or hook not in OF_THE_DRIVER]
    where = row.where if same else f"{row.where}; without what the driver {driver} may copy itself".replace("  ", " ")
    return Figure(sum(row.counts.get(hook, (0, 0))[1] for hook in hooks) / row.size, "reference", where)


def merged(path: Path, run: dict[str, Any]) -> str:
    """The contents of that file with a run added, in the place of an earlier one on that kernel and NIC."""
    runs = []
    if path.exists():
        parse(path.read_text(encoding="utf-8"), str(path))
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    same = ("kernel", "nic")
    runs = [other for other in runs if any(other[key] != run[key] for key in same)] + [run]
    runs.sort(key=lambda one: (_version(one["kernel"]), one["kernel"], one["nic"]))
    return _written(runs)


def _written(runs: list[dict[str, Any]]) -> str:
    """A line a measurement, so that changes can be read."""
    blocks = []
    for run in runs:
        head = ",\n".join(f"{json.dumps(key)}: {json.dumps(run[key])}" for key in run if key != "measurements")
        lines = ",\n".join(json.dumps(row) for row in run["measurements"])
        blocks.append(f'{{\n{head},\n"measurements": [\n{lines}\n]\n}}')
    return f'{{"v": {VERSION}, "runs": [\n' + ",\n".join(blocks) + "\n]}\n"
