# SPDX-License-Identifier: Apache-2.0
"""A capture from its start to its closing lines: signals, progress, statistics."""

import contextlib
import errno
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

import click

from wirepath.capture import Capture
from wirepath.cli.output import Output, write_json
from wirepath.errors import SystemCallError
from wirepath.info import Observed
from wirepath.pipeline import Run, run
from wirepath.stats import Stats

__all__ = ["closing_lines", "observed_lines", "run_to_end", "statistics"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """What the user's signals ask for, until they are looked at."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.report = self.flush = False

    def end(self, _number: int, _frame: FrameType | None) -> None:
        """SIGINT, SIGTERM, SIGHUP."""
        self.capture.interrupt()

    def ask_report(self, _number: int, _frame: FrameType | None) -> None:
        """SIGUSR1."""
        self.report = True

    def ask_flush(self, _number: int, _frame: FrameType | None) -> None:
        """SIGUSR2."""
        self.flush = True

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them, and put back what was before."""
        handlers = dict.fromkeys(ENDING, self.end) | {
            signal.SIGUSR1: self.ask_report,
            signal.SIGUSR2: self.ask_flush,
        }
        before = {number: signal.getsignal(number) for number in handlers}
        for number, handler in handlers.items():
            if not (number == signal.SIGHUP and before[number] == signal.SIG_IGN):  # nohup
                signal.signal(number, handler)
        try:
            yield
        finally:
            for number, handler_before in before.items():
                signal.signal(number, handler_before)


class Progress:
    """A line of counters on a terminal that shows nothing else; nothing in a pipe."""

    def __init__(self, capture: Capture, *, wanted: bool) -> None:
        self.capture = capture
        self.shown = wanted and sys.stderr.isatty()
        self.last = time.monotonic()
        self.width = 0

    def show(self, packets: int, size: int) -> None:
        """At most twice a second."""
        now = time.monotonic()
        if not self.shown or now - self.last < 0.5:
            return
        self.last = now
        line = f"{packets} packets, {_in_units(size)}, {self.capture.stats().dropped} dropped"
        click.echo("\r" + line.ljust(self.width), nl=False, err=True)
        self.width = len(line)

    def clear(self) -> None:
        """Make room for what comes next."""
        if self.width:
            click.echo("\r" + " " * self.width + "\r", nl=False, err=True)
        self.width = 0


def _in_units(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def run_to_end(
    capture: Capture,
    output: Output,
    *,
    ordered: bool = False,
    cpus: list[int] | None = None,
    report: Callable[[int, Stats], None] | None = None,
) -> Run:
    """Run until the packets, the time or the user's patience end. SIGUSR1 calls `report` with packets and counters."""
    sink = output.sink()
    signals = Signals(capture)
    progress = Progress(capture, wanted=report is not None and not output.prints)

    def look(packets: int, size: int) -> None:
        progress.show(packets, size)
        if signals.flush and output.writer is not None:
            output.writer.flush()
        signals.flush = False
        if signals.report and report is not None:
            progress.clear()
            report(packets, capture.stats())
        signals.report = False
        output.print_names()

    with signals.handled():
        try:
            result = run(
                capture,
                sink,
                count=output.packets,
                seconds=output.seconds,
                ordered=ordered,
                cpus=cpus or (),
                progress=look,
            )
        except SystemCallError as error:
            if error.errno != errno.EPIPE:
                raise
            result = Run("reader_gone", output.packets_out, 0, 0, 0, capture.stats())
        finally:
            progress.clear()
            output.print_names()
    return replace(result, packets=output.packets_out) if result.end == "sink" else result


def closing_lines(packets: int, stats: Stats) -> list[str]:
    """As tcpdump says them; what cannot be known is not said to be 0."""
    lost = [value for value in (stats.dropped_ring, stats.dropped_fill) if value is not None]
    by_filter = None if stats.received is None else stats.received + sum(lost)
    lines = [
        _count(packets, "captured"),
        _count(by_filter, "received by filter"),
        _count(sum(lost) if lost else None, "dropped by kernel"),
    ]
    if stats.dropped_nic:
        lines.append(_count(stats.dropped_nic, "dropped by interface"))
    return lines


def observed_lines(capture: Capture) -> list[str]:
    """What an engine measured of its own effect on the host: the figures that are known, then what they mean."""
    lines = []
    for one in capture.observed:
        name = capture.interfaces[one.interface].name
        if one.during is not None and one.name in _TOLD:
            before = "" if one.before is None else f", before: {one.before:.3g}"
            lines.append(f"{name}: {_TOLD[one.name]}: {one.during:.3g}{before}")
        elif one.name == "effect" or (one.name == "napi_id" and one.during == 0):
            lines.append(f"{name}: {one.detail}")
    return lines


_TOLD = {
    "interrupts": "interrupts of the NIC",
    "interrupts_a_packet": "interrupts a packet",
    "polls": "polls",
    "packets_a_poll": "packets a poll",
}


def _count(number: int | None, what: str) -> str:
    if number is None:
        return f"unknown number of packets {what}"
    return f"{number} packet{'' if number == 1 else 's'} {what}"


def statistics(capture: Capture, result: Run, seconds: float) -> dict[str, Any]:
    """As --stats-json has them (docs/json.md)."""
    first = capture.sources[0]
    return {
        "v": 1,
        "engine": first.engine,
        "mode": first.mode,
        "filter": capture.filter,
        "filtered_by": first.filtered_by,
        "takes_packets": first.takes_packets,
        "interfaces": [_interface(interface) for interface in capture.interfaces],
        "granted": [
            {"name": item.name, "asked": item.asked, "granted": item.granted}
            for source in capture.sources[:1]
            for item in source.granted
        ],
        "observed": [_observed(capture, one) for one in capture.observed],
        "notes": list(dict.fromkeys(note for source in capture.sources for note in source.notes)),
        "workers": len(capture.sources),
        "end": result.end,
        "seconds": round(seconds, 6),
        "packets": result.packets,
        "bytes": result.bytes,
        "out_of_order": result.out_of_order,
        "cpu_ns": result.cpu_ns,
        "stats": dict(result.stats.items()),
    }


def _observed(capture: Capture, one: Observed) -> Mapping[str, Any]:
    return {
        "interface": capture.interfaces[one.interface].name,
        "name": one.name,
        "before": one.before,
        "during": one.during,
        "detail": one.detail,
    }


def _interface(interface: Any) -> Mapping[str, Any]:
    return {
        "name": interface.name,
        "ifindex": interface.ifindex,
        "linktype": interface.linktype,
        "snaplen": interface.snaplen,
        "clock": interface.clock,
    }


def save_statistics(path: str | None, capture: Capture, result: Run, seconds: float) -> None:
    """For --stats-json."""
    if path:
        write_json(statistics(capture, result, seconds), path)
