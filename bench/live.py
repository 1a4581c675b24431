# SPDX-License-Identifier: Apache-2.0
"""Capturing to a file from a monitor port: CPU a packet, and what is lost, beside tcpdump, dumpcap and netsniff-ng."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wirepath as wp
from bench import place
from bench.samples import Goal, Samples, Section, Table, number
from wirepath.bench.lab import Wire

CAPTURING_CPU, GENERATING_CPU = "0", "1"
RING_BYTES = 64 << 20
LOSSLESS = 0.001
BASELINE = 0.01
SETTLE_S = 1.3
"""tcpdump's and dumpcap's rings hand a block over after a second at the latest."""

Command = Callable[[str, Path], list[str]]


@dataclass(frozen=True)
class Tool:
    """A program that captures to a file."""

    name: str
    command: Command
    ours: bool = False


def _ours(engine: str, **options: str) -> Tool:
    words = [f"{name}={value}" for name, value in options.items()]

    def command(interface: str, path: Path) -> list[str]:
        return [place.our_python(), "-m", "bench.capture_with", engine, interface, str(path), *words]

    return Tool(engine, command, ours=True)


def _tcpdump(interface: str, path: Path) -> list[str]:
    return ["tcpdump", "-ni", interface, "-w", str(path), "-s", "0", "-B", str(RING_BYTES >> 10), "-Z", "root"]


def _dumpcap(interface: str, path: Path) -> list[str]:
    return ["dumpcap", "-q", "-P", "-i", interface, "-w", str(path), "-B", str(RING_BYTES >> 20)]


def _netsniff(interface: str, path: Path) -> list[str]:
    return ["netsniff-ng", "--in", interface, "--out", str(path), "--silent", "--ring-size", f"{RING_BYTES >> 20}MiB"]


TOOLS = (
    Tool("tcpdump", _tcpdump),
    Tool("dumpcap", _dumpcap),
    Tool("netsniff-ng", _netsniff),
    _ours("socket", buffer_size=str(RING_BYTES)),
    _ours("pcap", buffer_size=str(RING_BYTES)),
    _ours("tpacket_v3", block_nr=str(RING_BYTES >> 19)),
    _ours("af_xdp", xdp_mode="native", mode="copy", ring_size=str(RING_BYTES >> 10)),
)


@dataclass(frozen=True)
class Result:
    """What one capture of one stream of frames did."""

    arrived: int
    """At the interface, by its own counter."""
    captured: int
    """In the file."""
    seconds: float
    cpu_ns: int
    """Of the capturing process, all its threads, user and system, until nothing more came; not of its start and end."""
    net_rx_ns: int
    """Of the kernel's receive softirq, on all CPUs."""

    @property
    def loss(self) -> float:
        """The part that is not in the file."""
        return max(0.0, 1 - self.captured / self.arrived)

    @property
    def pps(self) -> float:
        """What came a second."""
        return self.arrived / self.seconds

    @property
    def process_ns(self) -> float:
        """The process's CPU a packet in its file."""
        return self.cpu_ns / max(1, self.captured)

    @property
    def system_ns(self) -> float:
        """That, and the kernel's receiving; making the frames is left out."""
        return (self.cpu_ns + self.net_rx_ns) / max(1, self.captured)


class Bench:
    """A wire, a source at one end, a tool at the other."""

    def __init__(self, wire: Wire, directory: Path) -> None:
        self.wire, self.directory, self.livegen = wire, directory, place.livegen()

    def measure(self, tool: Tool, length: int, seconds: float, pps: float | None = None) -> Result:
        """Raises RuntimeError when the tool does not start."""
        path = self.directory / "out.pcap"
        path.unlink(missing_ok=True)
        with self._running(tool, path) as process:
            before, cpu_before = self.wire.sent(), _cpu_ns(process.pid)
            sent = self._generate(length, seconds, pps)
            time.sleep(SETTLE_S)
            cpu, arrived = _cpu_ns(process.pid) - cpu_before, (self.wire.sent() - before).delivered
        captured = _packets_in(path)
        path.unlink(missing_ok=True)
        return Result(arrived, captured, sent["seconds"], cpu, sent["net_rx_ns"])

    def _generate(self, length: int, seconds: float, pps: float | None) -> dict[str, Any]:
        command = ["taskset", "-c", GENERATING_CPU, self.livegen, self.wire.near.name, str(length), str(seconds)]
        if pps is not None:
            command.append(f"{pps:.0f}")
        output, _ = self.wire.near.namespace.start(command, stdout=subprocess.PIPE, text=True).communicate()
        result: dict[str, Any] = json.loads(output)
        return result

    @contextlib.contextmanager
    def _running(self, tool: Tool, path: Path) -> Iterator[subprocess.Popen[bytes]]:
        far = self.wire.far
        command = ["taskset", "-c", CAPTURING_CPU, *tool.command(far.name, path)]
        log = (self.directory / "log").open("w+b")
        process = far.namespace.start(command, stdout=log, stderr=log, cwd=place.ROOT)
        try:
            _wait_until(lambda: process.poll() is not None or self._receives(tool, process))
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{tool.name} does not start: {log.read().decode()}")
            time.sleep(0.3)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
            log.close()

    def _receives(self, tool: Tool, process: subprocess.Popen[bytes]) -> bool:
        if tool.ours:  # what it maps and pins takes a while
            return "ready" in (self.directory / "log").read_text()
        rows = Path(f"/proc/{process.pid}/net/packet").read_text().splitlines()[1:]
        return any(row.split()[4] == str(self.wire.far.index) for row in rows)


def _cpu_ns(pid: int) -> int:
    """All threads' time on a CPU so far, in ns, as the scheduler counts it and not by ticks."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


def _packets_in(path: Path) -> int:
    with wp.open(path) as file:
        return wp.run(file, wp.CountSink()).packets


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("a capture did not begin within 20 s")
        time.sleep(0.05)


@dataclass
class Found:
    """A tool at one length and rate."""

    results: list[Result]

    def samples(self, of: Callable[[Result], float], unit: str) -> Samples:
        """One quantity of all repetitions."""
        return Samples(tuple(of(result) for result in self.results), unit)

    @property
    def loss(self) -> float:
        """The worst of them is what a user remembers; the median is what is compared."""
        return self.samples(lambda result: result.loss, "").median


def run(repetitions: int, seconds: float) -> Section:
    """Measure everything that is live."""
    section = Section("live")
    with Wire(mtu=1500) as wire, place.memory() as directory:
        wire.far.offload(gro=True)  # without an XDP program a veth takes redirected frames only through NAPI
        bench = Bench(wire, Path(directory))
        for length in (64, 1500):
            highest = bench.measure(TOOLS[0], length, seconds).pps
            for rate, pps in (("highest", None), ("half", highest / 2)):
                found = _rounds(bench, length, seconds, pps, repetitions)
                section.tables.append(_table(f"{length}-byte frames, {rate} rate", found))
                section.goals += _goals(f"{length} B, {rate} rate", found)
        section.goals += _rate_goal(bench, seconds, section)
    section.notes.append(
        "system: the process and the kernel's receive softirq on all CPUs. Where both run on one CPU, what the softirq "
        "takes in the process's time is in both."
    )
    return section


def _rounds(bench: Bench, length: int, seconds: float, pps: float | None, repetitions: int) -> dict[str, Found]:
    found = {tool.name: Found([]) for tool in TOOLS}
    for repetition in range(repetitions):
        turn = repetition % len(TOOLS)
        for tool in TOOLS[turn:] + TOOLS[:turn]:
            result = bench.measure(tool, length, seconds, pps)
            found[tool.name].results.append(result)
            print(
                f"  {length:4} B {tool.name:12} {result.pps / 1e3:5.0f} kpps  loss {result.loss:7.3%}  "
                f"{result.process_ns:5.0f} ns  system {result.system_ns:5.0f} ns",
                flush=True,
            )
    return found


def _table(title: str, found: dict[str, Found]) -> Table:
    table = Table(title, ("program", "arrived", "lost", "process CPU a packet", "system CPU a packet"))
    for name, of in found.items():
        table.rows.append(
            (
                name,
                str(of.samples(lambda result: result.pps / 1e3, "kpps")),
                f"{of.loss:.3%}",
                str(of.samples(lambda result: result.process_ns, "ns")),
                str(of.samples(lambda result: result.system_ns, "ns")),
            )
        )
    return table


def _goals(where: str, found: dict[str, Found]) -> list[Goal]:
    peers = {t.name: found[t.name] for t in TOOLS if not t.ours and found[t.name].loss < BASELINE}
    ours = {t.name: found[t.name] for t in TOOLS if t.ours}
    if not peers:
        return []
    goals = []
    least = min(of.loss for of in peers.values())
    for name, of in ours.items():
        goals.append(Goal(f"{where}: loss of {name}, at most the best peer's", of.loss * 100, least * 100, False, "%"))
    lossless = {name: of for name, of in peers.items() if of.loss < LOSSLESS}
    best = min(lossless, key=lambda name: _process_ns(lossless[name]), default=None)
    for engine, wanted in (("tpacket_v3", 0.7), ("af_xdp", 0.5)):
        if best is not None and ours[engine].loss < LOSSLESS:
            ratio = _process_ns(ours[engine]) / _process_ns(lossless[best])
            goals.append(Goal(f"{where}: {engine}, process CPU a packet over {best}'s", ratio, wanted, False))
    return goals


def _process_ns(found: Found) -> float:
    return found.samples(lambda result: result.process_ns, "ns").median


def _rate_goal(bench: Bench, seconds: float, section: Section) -> list[Goal]:
    """The highest rate at which less than a thousandth is lost, of 64-byte frames."""
    table = Table("64-byte frames, highest rate that is captured with less than 0.1 % lost", ("program", "rate"))
    carried = {}
    for tool in TOOLS:
        carried[tool.name] = _loss_free_rate(bench, tool, seconds)
        table.rows.append((tool.name, f"{number(carried[tool.name] / 1e3)} kpps"))
        print(f"  loss-free: {tool.name} {carried[tool.name] / 1e3:.0f} kpps", flush=True)
    section.tables.append(table)
    best = max((t.name for t in TOOLS if not t.ours), key=lambda name: carried[name])
    return [Goal(f"af_xdp's loss-free rate over {best}'s", carried["af_xdp"] / carried[best], 2, True)]


def _loss_free_rate(bench: Bench, tool: Tool, seconds: float) -> float:
    first = bench.measure(tool, 64, seconds)
    if first.loss < LOSSLESS:
        return first.pps
    low, high, best = 0.0, first.pps, 0.0
    for _ in range(5):
        middle = (low + high) / 2
        result = bench.measure(tool, 64, seconds, middle)
        if result.loss < LOSSLESS:
            low, best = middle, max(best, result.pps)
        else:
            high = middle
    return best


def usable() -> str:
    """Why this part cannot run here; empty: it can."""
    if os.geteuid() != 0:
        return "capturing and making namespaces need root"
    if (os.cpu_count() or 1) < 2:
        return "the source and the capture need a CPU each"
    return ""
