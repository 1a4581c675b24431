# SPDX-License-Identifier: Apache-2.0
"""Capturing without Python: source, filter and sink run in native threads, the GIL is free."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wirepath import _core
from wirepath.capture import Capture
from wirepath.errors import OptionError, error
from wirepath.stats import Stats

__all__ = ["Run", "run"]


@dataclass(frozen=True)
class Run:
    """How a run ended, and what it did."""

    end: str
    """``packets``, ``duration``, ``interrupted``, ``end_of_file`` or ``sink``: a writer has its fill."""
    packets: int
    """Delivered to the sink. Of a batch in whose midst a writer had its fill, none: the writer's own count is exact."""
    bytes: int
    """Of those, as long as they were on the wire."""
    out_of_order: int
    """Delivered too late to be merged by time (with ``ordered``)."""
    cpu_ns: int
    """CPU time of the run's own threads in ns, user and system (CLOCK_THREAD_CPUTIME_ID)."""
    stats: Stats


def run(
    capture: Capture,
    sink: _core.Sink,
    *,
    count: int | None = None,
    seconds: float | None = None,
    cpus: Sequence[int] = (),
    ordered: bool = False,
    progress: Callable[[int, int], bool | None] | None = None,
) -> Run:
    """Move packets from the capture to the sink until an end is reached, and end the sink.

    Args:
        capture: what to read; it stays open.
        sink: a writer, or another sink. It is complete when this returns.
        count: end after so many packets. What several sources had read ahead by then is not delivered again.
        seconds: end after so long.
        cpus: pin the receiving threads to these CPUs, in turn.
        ordered: merge several sources by time.
        progress: called about ten times a second with packets and bytes so far; returning True ends the run.

    Raises:
        OptionError: count or seconds is negative, or there is no such CPU.
        KeyboardInterrupt: or what else a signal handler raises, after the sink was ended.
        NoSpaceError, InterfaceGoneError, …: what ended the run, after the sink was ended.
    """
    if (count is not None and count < 0) or (seconds is not None and seconds < 0):
        raise error(OptionError, "running for less than nothing", "count and seconds are 0 or more; None: without end")
    pipeline = _core.Pipeline(capture._core, sink, count, seconds, list(cpus), ordered)  # noqa: SLF001
    pipeline.start()
    try:
        while not pipeline.wait(0.1):
            if progress is not None and progress(pipeline.packets, pipeline.bytes):
                pipeline.interrupt()
    finally:
        pipeline.finish()
    return Run(
        end=pipeline.end,
        packets=pipeline.packets,
        bytes=pipeline.bytes,
        out_of_order=pipeline.out_of_order,
        cpu_ns=pipeline.cpu_ns,
        stats=capture.stats(),
    )
