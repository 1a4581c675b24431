# SPDX-License-Identifier: Apache-2.0
"""How often the CPU copies a packet on its way to a program, function by function: docs/copies.md.

Known packets go through a pair of interfaces, each engine receives them in turn, and programs in the kernel count what
is done to these packets and no others (native/trace/copies/).
"""

from __future__ import annotations

import datetime as dt
import platform
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wirepath import _core
from wirepath.bench.frames import SMALLEST
from wirepath.engines import Engine, engines
from wirepath.errors import NoPermissionError, OptionError, UnsupportedError, WirepathError, error
from wirepath.figure import Figure, How
from wirepath.trace import reference
from wirepath.trace.pair import Pair
from wirepath.trace.receiving import Account, Receiver
from wirepath.trace.sender import KnownSender

__all__ = ["MODES", "Count", "Measurement", "Mode", "Report", "copying", "measure"]

SIZES = (200, 1000)
COUNT = 1000
MOST_PACKETS = 1_000_000
GAP_US = 500
DRIVER = "driver_copy"
USER = "wirepath"  # the hook of the copies that Wirepath itself makes

_RUN = 1 << 24  # numbers that a run has for itself
_WORST_LAST: tuple[How, ...] = ("measured", "inferred", "reference", "unknown")
_COPYING = ("copy", "helper")


@dataclass(frozen=True)
class Mode:
    """A way to run an engine that copies differently from its others."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


MODES: dict[str, tuple[Mode, ...]] = {
    "af_xdp": (
        Mode("generic", {"xdp_mode": "generic", "mode": "copy"}),
        Mode("native copy", {"xdp_mode": "native", "mode": "copy"}),
        Mode("zero-copy", {"xdp_mode": "native", "mode": "zero_copy"}),
    ),
}
"""The engines that have several. Another one is measured as it is."""


@dataclass(frozen=True)
class Count:
    """What one function did, a packet."""

    function: str
    role: Literal["copy", "helper", "caller", "event"]
    """``copy``: its own bytes count. ``helper``: so they do, if a BPF program on the way asks for it. ``caller``: it
    copies through another function of the list. ``event``: it copies nothing."""
    attributed: Literal["packet", "interface", "socket", "thread"]
    """By what a call is known to be on account of the packets sent."""
    meaning: str
    observed_by: str
    """``fentry skb_copy_bits``, …; empty: it is not observed here."""
    reason: str
    """Why not."""
    calls: Figure
    bytes: Figure
    """Of what copies; unknown for what does not."""

    def as_object(self) -> dict[str, Any]:
        """As JSON says it."""
        made = {name: getattr(self, name) for name in ("function", "role", "attributed", "observed_by", "reason")}
        made["calls"] = self.calls.as_object()
        if self.role in _COPYING:
            made["bytes"] = self.bytes.as_object()
        return made


@dataclass(frozen=True)
class Measurement:
    """One engine in one mode, with frames of one size."""

    engine: str
    mode: str
    granted: str
    """The mode, as the engine says what the kernel granted; empty if it did not run."""
    size: int
    """Bytes of a frame, without FCS."""
    sent: int
    received: int
    gap_us: float | None
    """From one packet to the next, as sent."""
    problem: str
    """Why it did not run: then no figure was measured here. Empty: it did."""
    counts: tuple[Count, ...]
    sender: dict[str, float]
    """Calls on the sending side that are no part of receiving, a packet."""
    system_calls: dict[str, Figure]
    """Of the receiving thread, by name, a packet."""
    dma: str
    """How the packet came into memory."""

    def count(self, function: str) -> Count:
        """Of that function. Raises KeyError."""
        for one in self.counts:
            if one.function == function:
                return one
        raise KeyError(function)

    @property
    def bytes(self) -> Figure:
        """Bytes that the CPU copied, a packet, in the kernel and in Wirepath."""
        return _sum([one for one in self.counts if one.role in _COPYING])

    @property
    def copies(self) -> Figure:
        """The same in frames: 1.0 means that each byte was copied once."""
        total = self.bytes
        return Figure(None if total.value is None else total.value / self.size, total.how, total.detail)

    def as_object(self) -> dict[str, Any]:
        """As JSON says it."""
        names = ("engine", "mode", "granted", "size", "sent", "received", "gap_us", "problem", "dma", "sender")
        return {
            **{name: getattr(self, name) for name in names},
            "copies": self.copies.as_object(),
            "bytes": self.bytes.as_object(),
            "functions": [one.as_object() for one in self.counts],
            "system_calls": {name: figure.as_object() for name, figure in self.system_calls.items()},
        }


@dataclass(frozen=True)
class Report:
    """All that was measured in one run."""

    kernel: str
    nic: str
    """The interface that received."""
    driver: str
    machine: str
    """As its firmware calls it: figures of an emulated NIC are no figures of silicon. Empty: it does not say."""
    packets: int
    date: str
    """ISO 8601."""
    notes: tuple[str, ...]
    """What could not be done here, and what would help."""
    measurements: tuple[Measurement, ...]

    def as_object(self) -> dict[str, Any]:
        """As JSON says it (docs/json.md)."""
        names = ("kernel", "nic", "driver", "machine", "packets", "date")
        return {
            "v": 1,
            **{name: getattr(self, name) for name in names},
            "notes": list(self.notes),
            "measurements": [one.as_object() for one in self.measurements],
        }

    def as_reference(self) -> dict[str, Any]:
        """As wirepath.trace.reference keeps it: only what was observed here. Raises UnsupportedError if nothing was."""
        ran = [one for one in self.measurements if not one.problem]
        if not ran or not any(one.observed_by for one in ran[0].counts):
            raise error(UnsupportedError, "nothing was observed that could be recorded", "; ".join(self.notes))
        return {
            "kernel": self.kernel,
            "nic": self.driver,
            "driver": self.driver,
            "machine": self.machine,
            "date": self.date[:10],
            "packets": self.packets,
            "observed": sorted(one.function for one in ran[0].counts if one.calls.how in ("measured", "inferred")),
            "inferred": sorted(one.function for one in ran[0].counts if one.calls.how == "inferred"),
            "measurements": [_recorded(one) for one in ran],
        }


def _recorded(measurement: Measurement) -> dict[str, Any]:
    counts = {
        one.function: [_short(one.calls.value), _short(one.bytes.value)]
        for one in measurement.counts
        if one.calls.how in ("measured", "inferred") and one.calls.value
    }
    calls = {name: _short(figure.value) for name, figure in measurement.system_calls.items()}
    names = {"engine": measurement.engine, "mode": measurement.mode, "size": measurement.size}
    return {**names, "gap_us": round(measurement.gap_us or 0), "counts": counts, "system_calls": calls}


def _short(value: float | None) -> float:
    return round(value or 0.0, 4)


def _sum(parts: Sequence[Count]) -> Figure:
    """What may well not be there, and cannot be known here, is left out, and said."""
    left_out = [one.function for one in parts if one.bytes.value is None or (one.role == "helper" and _silent(one))]
    missing = [one.function for one in parts if one.bytes.value is None and not _may_be_left_out(one)]
    if missing:
        return Figure(None, "unknown", f"not known here: {', '.join(missing)}")
    told = [one for one in parts if one.function not in left_out]
    # That the driver copied nothing is inferred, too; a sum that it adds nothing to is what its other parts are.
    marking = [one.bytes.how for one in told if one.bytes.value or one.bytes.how != "inferred"]
    worst: How = max(marking, key=_WORST_LAST.index, default="inferred")
    details = dict.fromkeys(one.bytes.detail for one in told if one.bytes.how == worst and worst != "measured")
    if left_out:
        details[f"without {', '.join(left_out)}, which cannot be observed here"] = None
    return Figure(sum(one.bytes.value or 0.0 for one in told), worst, "; ".join(details))


def _silent(one: Count) -> bool:
    return one.bytes.how == "reference" and not one.bytes.value


def _may_be_left_out(one: Count) -> bool:
    """A BPF helper that no program may be asking for, and a driver that was never measured."""
    return one.role == "helper" or one.function == DRIVER


@dataclass(frozen=True)
class _Hook:
    function: str
    role: Any
    attributed: Any
    meaning: str
    observed_by: str
    reason: str


def copying() -> tuple[str, ...]:
    """The functions whose bytes are copies, Wirepath's own among them."""
    return tuple(hook.function for hook in _all_hooks() if hook.role in _COPYING)


def _all_hooks() -> list[_Hook]:
    user = _Hook(
        USER, "copy", "thread", "Wirepath itself copies, since the kernel or a library wants its buffer back",
        "the core's own count", "",
    )  # fmt: skip
    return [*(_Hook(*row, "", "") for row in _core.copy_hooks()), user]


def measure(
    pair: Pair,
    *,
    engines: Sequence[str] = (),
    sizes: Sequence[int] = SIZES,
    count: int = COUNT,
    gap_us: int = GAP_US,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Send known packets through the pair, once for each engine, mode and size, and count what is done to them.

    Args:
        pair: nobody else should be using it.
        engines: by name; none: all that open interfaces.
        sizes: bytes of the frames, without FCS.
        count: packets of each measurement.
        gap_us: from one to the next; at gaps that are too short the engine loses packets, which is said.
        progress: is told what is being done.

    Raises:
        OptionError: there is no such engine, or a size that cannot be.
        NoPermissionError: packets can be neither sent nor received.
        WirepathError: there is no carrier.
    """
    chosen = _chosen(engines)
    _check(sizes, count)
    notes: list[str] = []
    with ExitStack() as stack:
        sender = stack.enter_context(KnownSender(pair.sender))
        progress("attaching")
        bench = _Bench(pair, sender, _counter(notes), count, gap_us)
        stack.enter_context(pair.sender.up())
        stack.enter_context(pair.receiver.up())
        measured = []
        for engine, mode, size in _cases(chosen, sizes):
            progress(f"{engine.name}, {mode.name}, {size} B")
            measured.append(bench.measure(engine, mode, size))
    return Report(
        kernel=platform.release(),
        nic=pair.receiver.name,
        driver=bench.driver,
        machine=_machine(),
        packets=count,
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        notes=tuple(notes),
        measurements=tuple(measured),
    )


def _machine() -> str:
    names = (Path("/sys/class/dmi/id", name) for name in ("sys_vendor", "product_name"))
    return " ".join(name.read_text(errors="replace").strip() for name in names if name.is_file())


def _chosen(names: Sequence[str]) -> list[Engine]:
    there = [engine for engine in engines() if engine.target == "interface"]
    known = {engine.name: engine for engine in there}
    for name in names:
        if name not in known:
            raise error(OptionError, f"no engine {name} opens interfaces", f"There are: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] if names else there


def _check(sizes: Sequence[int], count: int) -> None:
    for size in sizes:
        if not SMALLEST <= size <= 1514:
            raise error(OptionError, f"a frame cannot have {size} bytes", f"It takes {SMALLEST} to 1514")
    if not 0 < count <= MOST_PACKETS:
        raise error(OptionError, f"{count} packets cannot be sent", f"It takes 1 to {MOST_PACKETS}")


def _cases(chosen: Sequence[Engine], sizes: Sequence[int]) -> Iterator[tuple[Engine, Mode, int]]:
    for engine in chosen:
        for mode in MODES.get(engine.name, (Mode("default"),)):
            for size in sizes:
                yield engine, mode, size


def _counter(notes: list[str]) -> _core.CopyCounter | None:
    try:
        return _core.CopyCounter()
    except (NoPermissionError, UnsupportedError) as failure:
        notes.append(f"Nothing is observed in the kernel: {failure}")
        return None


class _Bench:
    """Where everything stands ready: the programs are attached once for all measurements."""

    def __init__(
        self, pair: Pair, sender: KnownSender, counter: _core.CopyCounter | None, count: int, gap_us: int
    ) -> None:
        self.driver = pair.receiver.driver()
        self._pair = pair
        self._sender = sender
        self._counter = counter
        self._packets, self._gap_us = count, gap_us
        self._next = secrets.randbits(30) * _RUN
        self._irqs = pair.receiver.irqs() if pair.receiver.is_device() else set()
        self._dma = _dma(self.driver, pair.receiver.is_device())
        why = "no program can be loaded" if counter is None else ""
        own = [_Hook(*row) for row in counter.hooks()] if counter else []
        self._hooks = [*own, *(_Hook(*row, "", why) for row in _core.copy_hooks() if not own), _all_hooks()[-1]]

    def measure(self, engine: Engine, mode: Mode, size: int) -> Measurement:
        """One engine in one mode, or the references with the reason why it did not run."""
        problem = "" if engine.usable else engine.reason
        account: Account | None = None
        if not problem:
            try:
                account = self._receive(engine, mode, size)
                problem = "" if account.received else "no packet arrived"
            except WirepathError as failure:
                problem = str(failure)
        figures = _Figures(engine.name, mode.name, size, self.driver, account if not problem else None, self._irqs)
        return Measurement(
            engine=engine.name,
            mode=mode.name,
            granted=account.granted if account and not problem else "",
            size=size,
            sent=account.sent if account else 0,
            received=account.received if account else 0,
            gap_us=account.gap_us if account else None,
            problem=problem,
            counts=tuple(figures.count(hook) for hook in self._hooks),
            sender=figures.sender(),
            system_calls=figures.system_calls(),
            dma=self._dma,
        )

    def _receive(self, engine: Engine, mode: Mode, size: int) -> Account:
        self._next += _RUN
        receiver = Receiver(self._pair, self._sender, self._counter, self._packets, self._gap_us)
        return receiver.run(engine.name, mode.options, size, self._next)


def _dma(driver: str, is_device: bool) -> str:
    if is_device:
        return "the NIC writes the packet into its receive ring (DMA): no copy by the CPU"
    if driver == "veth":
        return "no DMA: veth hands over the sender's own sk_buff, and that is no copy either"
    return f"no DMA: {driver or 'this'} is a virtual interface"


class _Figures:
    """What was counted, a packet; and where nothing was, the references."""

    def __init__(
        self, engine: str, mode: str, size: int, driver: str, account: Account | None, irqs: set[int] | None
    ) -> None:
        self._row = (engine, mode)
        self._near: dict[str, Any] = {"driver": driver, "size": size}
        self._account, self._irqs = account, irqs

    def count(self, hook: _Hook) -> Count:
        """Of one hook."""
        calls, bytes_ = self._of(hook)
        if hook.role not in _COPYING:
            bytes_ = Figure(None, "unknown", "it copies nothing itself")
        return Count(**vars(hook), calls=calls, bytes=bytes_)

    def _of(self, hook: _Hook) -> tuple[Figure, Figure]:
        if self._account is None or not hook.observed_by:
            return self._reference(hook, "calls"), self._reference(hook, "bytes")
        if hook.function == "irq_handler_entry":
            return self._interrupts(), Figure(None, "unknown", "it copies nothing itself")
        if hook.function == USER:
            tally = self._account.copied
            if tally is None:
                why = "this engine cannot know"
                return Figure(None, "unknown", why), Figure(None, "unknown", why)
        else:
            tally = self._account.receiver[hook.function]
        how: How = "inferred" if hook.function == DRIVER else "measured"
        calls, bytes_ = (value / self._account.received for value in tally)
        return Figure(calls, how, hook.observed_by), Figure(bytes_, how, hook.observed_by)

    def _reference(self, hook: _Hook, what: Literal["calls", "bytes"]) -> Figure:
        found = reference.reference(*self._row, hook.function, what=what, **self._near)
        if found.value is not None or self._account is None:
            return found
        return Figure(None, "unknown", hook.reason or found.detail)

    def _interrupts(self) -> Figure:
        assert self._account is not None
        if self._irqs is None:
            return Figure(None, "unknown", "the bus of this NIC does not tell its interrupts")
        if not self._irqs:
            return Figure(0.0, "inferred", "the interface has no device that could interrupt")
        total = sum(self._account.interrupts.get(irq, 0) for irq in self._irqs)
        return Figure(total / self._account.received, "measured", f"of the IRQs {sorted(self._irqs)}")

    def sender(self) -> dict[str, float]:
        """What was done to these packets before they left."""
        if self._account is None:
            return {}
        tallies = self._account.sender.items()
        return {name: round(calls / self._account.received, 4) for name, (calls, _) in tallies if calls}

    def system_calls(self) -> dict[str, Figure]:
        """Of the receiving thread."""
        if self._account is not None and self._account.system_calls is not None:
            counted = sorted(self._account.system_calls.items(), key=lambda item: -item[1])
            return {name: Figure(calls / self._account.received, "measured") for name, calls in counted}
        row = reference.nearest(*self._row, **self._near)
        calls = row.system_calls if row else {}
        return {name: Figure(value, "reference", row.where if row else "") for name, value in calls.items()}
