# SPDX-License-Identifier: Apache-2.0
"""Sending as fast as it goes, beside trafgen and tcpreplay, and how exact an asked rate is."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import wirepath as wp
from bench import place
from bench.samples import Goal, Samples, Section, Table, number
from wirepath.bench.frames import frame
from wirepath.bench.lab import Wire

SENDING_CPU = "1"
FRAMES = 1000  # of the file that is sent again and again
START_S = 0.5
TOLERANCE = 0.02
RATES = (100, 1_000, 10_000, 50_000)
FLOW = "udp 10.0.0.1:1000-1999 > 10.0.0.2:53"

Command = Callable[[str, Path], list[str]]


@dataclass(frozen=True)
class Tool:
    """A program that sends a file's frames, or one that is given to it, without end."""

    name: str
    command: Command
    ours: bool = False
    to_napi: bool = False
    """The other end of a veth must receive through NAPI: a different receiver, whose cost is in the figures."""


def _ours(engine: str, *options: str, to_napi: bool = False) -> Tool:
    words = [word for option in options for word in ("-o", option)]

    def command(interface: str, path: Path) -> list[str]:
        where = ["-i", interface, "--engine", engine, *words]
        return [place.our_python(), "-m", "wirepath", "send", str(path), *where, "--top", "--loop", "0"]

    name = " ".join([engine, *(option.partition("=")[0] for option in options)]) + (" (GRO on)" if to_napi else "")
    return Tool(name, command, ours=True, to_napi=to_napi)


def _trafgen(*options: str) -> Command:
    return lambda interface, path: [
        *("trafgen", "--dev", interface, "--conf", str(path.with_suffix(".cfg")), "--cpus", "1", *options)
    ]


def _tcpreplay(interface: str, path: Path) -> list[str]:
    return ["tcpreplay", "-q", "-K", "-i", interface, "--topspeed", "--loop", "0", str(path)]


TOOLS = (
    Tool("trafgen", _trafgen()),
    Tool("trafgen --qdisc-path", _trafgen("--qdisc-path")),
    Tool("tcpreplay", _tcpreplay),
    _ours("socket"),
    _ours("socket", "qdisc_bypass=on"),
    _ours("pcap"),
    _ours("tpacket_v3"),
    _ours("tpacket_v3", "qdisc_bypass=on"),
    _ours("af_xdp"),
    _ours("af_xdp", to_napi=True),
    _ours("ebpf", to_napi=True),
)


def run(repetitions: int, seconds: float) -> Section:
    """Measure both."""
    section = Section("sending")
    with Wire(mtu=1500) as wire, place.memory() as directory:
        for length in (60, 1514):
            path = _write(Path(directory), length)
            rates = _rounds(wire, path, repetitions, seconds)
            section.tables.append(_table(length, rates))
            section.goals += _goals(length, rates)
        wire.far.offload(gro=False)
        _exactness(wire, section, seconds)
    section.notes.append(
        "Rates are counted at the interface that receives, while a program runs; what a full backlog refused is not in "
        "them. trafgen takes what was refused for sent; ours offer it again. "
        "ebpf needs a receiver with NAPI (GRO on): compare it with what else has that."
    )
    return section


def _write(directory: Path, length: int) -> Path:
    path = directory / f"{length}.pcap"
    rows = [(number, frame(number, length), length, 0, 0, 0, []) for number in range(FRAMES)]
    writer = wp.PcapWriter(str(path))
    writer.write(wp._core.batch_of([("made", 1)], rows))  # noqa: SLF001
    writer.close()
    packets = ("{ " + ", ".join(f"0x{byte:02x}" for byte in data) + " }\n" for _, data, *_ in rows[:100])
    path.with_suffix(".cfg").write_text("".join(packets))
    return path


def _rounds(wire: Wire, path: Path, repetitions: int, seconds: float) -> dict[str, list[Rate]]:
    found: dict[str, list[Rate]] = {tool.name: [] for tool in TOOLS}
    for repetition in range(repetitions):
        turn = repetition % len(TOOLS)
        for tool in TOOLS[turn:] + TOOLS[:turn]:
            rate = _rate(wire, tool, path, seconds)
            found[tool.name].append(rate)
            print(f"  {path.stem:>5} B {tool.name:24} {rate.kpps:6.0f} kpps {rate.ns:6.0f} ns", flush=True)
    return found


@dataclass(frozen=True)
class Rate:
    """What a program sent while it ran."""

    frames: int
    seconds: float
    cpu_ns: int
    """Of the program, the kernel's work for it counted; also the receiver's, which a veth does in its sender's time."""

    @property
    def kpps(self) -> float:
        """Thousand frames a second."""
        return self.frames / self.seconds / 1e3

    @property
    def ns(self) -> float:
        """CPU a frame."""
        return self.cpu_ns / max(1, self.frames)


def _rate(wire: Wire, tool: Tool, path: Path, seconds: float) -> Rate:
    wire.far.offload(gro=tool.to_napi)
    with _running(wire, tool, path) as group:
        cpu, before, begun = _cpu_ns(group), wire.sent(), time.monotonic()
        time.sleep(seconds)
        after, ended, cpu_after = wire.sent(), time.monotonic(), _cpu_ns(group)
    return Rate((after - before).delivered, ended - begun, cpu_after - cpu)


@contextlib.contextmanager
def _running(wire: Wire, tool: Tool, path: Path) -> Iterator[int]:
    quiet = wire.sent().delivered
    command = ["taskset", "-c", SENDING_CPU, *tool.command(wire.near.name, path)]
    with path.with_suffix(".log").open("w+b") as log:
        process = wire.near.namespace.start(command, stdout=log, stderr=log, cwd=place.ROOT, process_group=0)
        try:
            until = time.monotonic() + 20
            while wire.sent().delivered - quiet < FRAMES:
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"{tool.name} does not send: {log.read().decode()}")
                time.sleep(0.02)
            time.sleep(START_S)
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGINT)  # trafgen's parent leaves its child running
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _cpu_ns(group: int) -> int:
    """Time on a CPU so far of all threads of a process group, in ns, as the scheduler counts it and not by ticks."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(process.name)) == group:
                total += sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
    return total


def _table(length: int, rates: dict[str, list[Rate]]) -> Table:
    table = Table(f"{length}-byte frames, as fast as it goes", ("program", "rate", "CPU a frame"))
    for tool in TOOLS:
        kpps = Samples(tuple(rate.kpps for rate in rates[tool.name]), "kpps")
        ns = Samples(tuple(rate.ns for rate in rates[tool.name]), "ns")
        table.rows.append((("wirepath " if tool.ours else "") + tool.name, str(kpps), str(ns)))
    return table


def _goals(length: int, rates: dict[str, list[Rate]]) -> list[Goal]:
    median = {name: statistics.median(rate.kpps for rate in of) for name, of in rates.items()}
    best = max((tool.name for tool in TOOLS if tool.ours and not tool.to_napi), key=lambda name: median[name])
    return [
        Goal(f"{length} B: {best} over {tool.name}", median[best] / median[tool.name], 1, at_least=True)
        for tool in TOOLS
        if not tool.ours
    ]


def _exactness(wire: Wire, section: Section, seconds: float) -> None:
    """Of asked rates, as the receiving interface counts them."""
    table = Table("Asked rates, 60-byte frames", ("asked", "sent", "received", "latest frame"))
    worst = 0.0
    for pps in RATES:
        before = wire.far.counters().rx_packets
        sent = wp.send(
            wp.parse_flow(FLOW),
            wire.near.name,
            netns=wire.near.namespace.path,
            pps=pps,
            seconds=max(2 * seconds, 200 / pps),
            target_mac=bytes(6),
        )
        received = (wire.far.counters().rx_packets - before) / sent.seconds
        assert sent.pps is not None
        worst = max(worst, abs(sent.pps / pps - 1))
        row = (
            f"{pps} pps",
            f"{number(sent.pps)} pps",
            f"{number(received)} pps",
            f"{sent.latest_ns / 1e6:.2f} ms late",
        )
        table.rows.append(row)
    section.tables.append(table)
    section.goals.append(Goal("an asked rate, off by", worst * 100, TOLERANCE * 100, at_least=False, unit="%"))
