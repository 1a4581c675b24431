# SPDX-License-Identifier: Apache-2.0
"""What `make run` does: real traffic, captured by every engine that can run here, and what became of each packet.

`python -m wirepath.bench.demo [--iface NAME] [--seconds N] [--output DIRECTORY]`
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

import wirepath as wp
from wirepath.bench.accounts import Account, account
from wirepath.bench.lab import LEFT_ADDRESS, RIGHT_ADDRESS, Lab
from wirepath.bench.namespace import enter_user_namespace, inside_user_namespace, privileged

_ALL_ENGINES_S = 40.0  # shared by the engines, when --seconds does not say
_QUIET_TICKS = 5  # tenths of a second without a packet after which a capture has all there is
_PATIENCE_S = 30.0  # for traffic that does not end

_INTRODUCTION = f"""\
A private lab: two hosts, {LEFT_ADDRESS} and {RIGHT_ADDRESS}, on a switch that copies every frame between them to a \
monitor port.
There each engine captures in turn while the hosts talk, and writes what it gets to a pcapng file.
"""
_CPU = """\
CPU a packet: of the threads that capture and write the file, user and system. What the kernel spends in softirq is \
not in it."""
_MEANING = f"""\
sent: frames that the switch was to copy to the monitor port, by tc's counter.
lost: by the counter of each place: link and backlog before a capture sees a frame, ring for want of room in its own.
unexplained: what is left of sent, 0 if every counter is true.
{_CPU}"""
_MEANING_IFACE = f"""\
sent, unexplained: nobody counts what was sent to an interface in use.
lost: by the engine's own counters.
{_CPU}"""
_PATH_MEANING = """\
#1, #2, …: one skb each. The switch clones the packet for the monitor port, and the tap there clones it for the capture;
the monitor's own stack drops the rest, which is not for it. A process with a question mark was on that CPU, no more."""

Tick = Callable[[int, int], bool]


@dataclass(frozen=True)
class Result:
    """What one engine did."""

    engine: str
    mode: str
    run: wp.Run
    account: Account | None  # None: nobody knows what was sent
    path: Path
    in_file: int  # packets that are read back


class _TrafficError(Exception):
    """The hosts could not talk."""


class _Screen:
    """Progress while it works, and the table at the end."""

    def __init__(self) -> None:
        console = Console()
        self.console = console if console.is_terminal else Console(width=160)

    @contextlib.contextmanager
    def progress(self, engine: str, seconds: float) -> Iterator[Callable[[int, int], None]]:
        """A line that lives: packets and bytes so far."""
        if not self.console.is_terminal:
            self.console.print(f"{engine}: capturing for {seconds:.0f} s")
        columns = (
            TextColumn(f"{engine:>10}"),
            BarColumn(),
            TextColumn("{task.fields[packets]:>9,} packets {task.fields[megabytes]:>7.1f} MB"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as bars:
            task: TaskID = bars.add_task("", total=seconds, packets=0, megabytes=0.0)

            def show(packets: int, bytes_: int) -> None:
                bars.update(task, completed=bars.tasks[0].elapsed, packets=packets, megabytes=bytes_ / 1e6)

            yield show

    def table(self, results: list[Result]) -> None:
        """One row an engine."""
        table = Table(title="\nWhat became of every packet", title_justify="left")
        for name in ("engine", "mode granted"):
            table.add_column(name)
        for name in ("sent", "received", "lost, and where", "unexplained", "CPU a packet"):
            table.add_column(name, justify="right")
        table.add_column("file", no_wrap=True)
        for result in results:
            table.add_row(*_cells(result))
        self.console.print(table)


def _cells(result: Result) -> tuple[str, ...]:
    sums = result.account
    sent, unexplained = (f"{sums.sent:,}", f"{sums.unexplained:,}") if sums else ("not known", "not known")
    losses = sums.losses if sums else _losses(result.run.stats)
    cpu = f"{result.run.cpu_ns // result.run.packets:,} ns" if result.run.packets else "-"
    received = f"{result.run.packets:,}"
    return (result.engine, result.mode, sent, received, losses, unexplained, cpu, result.path.name)


def _losses(stats: wp.Stats) -> str:
    some = [
        f"{count} {name.removeprefix('dropped_')}" for name, count in stats.items() if name[:5] == "dropp" and count
    ]
    return ", ".join(some) or "0"


def _capture(capture: wp.Capture, path: Path, seconds: float, tick: Tick) -> wp.Run:
    return wp.run(capture, wp.PcapngWriter(path), seconds=seconds, progress=tick)


def _packets_in(path: Path) -> int:
    sink = wp.CountSink()
    with wp.open(path) as capture:
        wp.run(capture, sink)
    return sink.packets


def _until_quiet(traffic: subprocess.Popen[str], show: Callable[[int, int], None]) -> Tick:
    """Ends a run when the traffic has ended and nothing more comes."""
    last, quiet = -1, 0

    def tick(packets: int, bytes_: int) -> bool:
        nonlocal last, quiet
        show(packets, bytes_)
        quiet = quiet + 1 if packets == last and traffic.poll() is not None else 0
        last = packets
        return quiet >= _QUIET_TICKS

    return tick


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program that ends with the block at the latest."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def _in_lab(lab: Lab, engine: str, path: Path, seconds: float, screen: _Screen) -> tuple[Result, dict[str, int]]:
    hosts = (lab.left.namespace.path, lab.right.namespace.path)
    talk = [sys.executable, "-m", "wirepath.bench.traffic", *hosts, str(seconds)]
    with wp.open(lab.monitor.name, engine=engine, netns=lab.monitor.namespace.path) as capture:
        before = lab.sent()
        with _running(talk) as traffic:
            with screen.progress(engine, seconds) as show:
                run = _capture(capture, path, seconds + _PATIENCE_S, _until_quiet(traffic, show))
            said = traffic.communicate()[0]
        sums = account(lab.sent() - before, capture.stats())
        mode = capture.mode
    if traffic.returncode != 0:
        raise _TrafficError("the traffic between the hosts ended with an error")
    return Result(engine, mode, run, sums, path, _packets_in(path)), json.loads(said)


def _on_interface(name: str, engine: str, path: Path, seconds: float, screen: _Screen) -> Result:
    def tick(packets: int, bytes_: int) -> bool:
        show(packets, bytes_)
        return False

    with wp.open(name, engine=engine) as capture, screen.progress(engine, seconds) as show:
        run = _capture(capture, path, seconds, tick)
        mode = capture.mode
    return Result(engine, mode, run, None, path, _packets_in(path))


def _engines(screen: _Screen, *, taking: bool) -> list[str]:
    """Those that can run here; says of each other one why not."""
    live = [engine for engine in wp.engines() if engine.target == "interface"]
    for engine in live:
        if not engine.usable:
            screen.console.print(f"{engine.name} cannot run here: {engine.reason}", highlight=False)
        elif engine.takes_packets and not taking:
            screen.console.print(f"{engine.name} is left out: it would take the packets away from this host")
    return [engine.name for engine in live if engine.usable and (taking or not engine.takes_packets)]


def _demonstrate(arguments: argparse.Namespace, screen: _Screen) -> list[Result]:
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    if not arguments.iface:
        screen.console.print(_INTRODUCTION, highlight=False)
    engines = _engines(screen, taking=not arguments.iface)
    seconds = arguments.seconds or min(10.0, _ALL_ENGINES_S / max(1, len(engines)))
    if arguments.iface:
        return [
            _on_interface(arguments.iface, engine, output / f"{engine}.pcapng", seconds, screen) for engine in engines
        ]
    results, done = [], Counter[str]()
    with Lab() as lab:
        for engine in engines:
            result, talk = _in_lab(lab, engine, output / f"{engine}.pcapng", seconds, screen)
            results.append(result)
            done.update(talk)
    exchanges = ", ".join(f"{count:,} {what}" for what, count in done.items())
    screen.console.print(f"\nThe hosts exchanged {exchanges}.", highlight=False)
    return results


def _show_one_packet(screen: _Screen) -> None:
    from wirepath.bench.one_packet import ENGINE, follow_in_lab
    from wirepath.trace.present import text_of

    screen.console.print(f"\nThe path of one packet, captured at the monitor port by {ENGINE}", style="italic")
    try:
        with Lab() as lab:
            followed = follow_in_lab(lab)
    except (wp.WirepathError, OSError) as error:
        screen.console.print(f"It cannot be followed here: {error}", highlight=False)
        return
    if followed.packet is None:
        screen.console.print("Nothing of it was seen.", highlight=False)
        return
    screen.console.print(text_of(followed.packet), highlight=False, markup=False, soft_wrap=True)
    screen.console.print(_PATH_MEANING, highlight=False)
    for note in followed.notes:
        screen.console.print(f"Not seen: {note}", highlight=False)


def _wirepath() -> str:
    """The command, as it can be typed from here."""
    beside = Path(sys.executable).with_name("wirepath")
    with contextlib.suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return "wirepath" if shutil.which("wirepath") or not beside.exists() else str(beside)


def _verdict(results: list[Result], screen: _Screen) -> int:
    wrong = [
        f"{result.engine}: {result.account.unexplained} packets are not accounted for"
        for result in results
        if result.account and result.account.unexplained
    ]
    wrong += [
        f"{result.path} holds {result.in_file} packets, not the {result.run.packets} that were received"
        for result in results
        if result.in_file != result.run.packets
    ]
    for line in wrong:
        screen.console.print(line, style="bold red", highlight=False)
    return 1 if wrong or not results else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wirepath.bench.demo", description=__doc__)
    parser.add_argument("--iface", default="", help="capture what passes on this interface, not in a lab")
    parser.add_argument("--seconds", type=float, default=0.0, help="for each engine (a lab: 40 among them)")
    parser.add_argument("--output", default="captures", help="directory of the files (captures)")
    arguments = parser.parse_args()
    if arguments.iface and not arguments.seconds:
        arguments.seconds = 10.0
    return arguments


def _without_privilege(arguments: argparse.Namespace) -> str:
    """Goes on in a user namespace, or says what would help."""
    if arguments.iface:
        return f"Capturing on {arguments.iface} needs root: sudo make run IFACE={arguments.iface}"
    try:
        enter_user_namespace(["-m", "wirepath.bench.demo", *sys.argv[1:]])
    except OSError as error:
        return f"The lab needs root (no user namespaces here: {error}): sudo make run"
    return ""


def main() -> int:
    """The command line. 0: every packet is accounted for."""
    arguments, screen = _arguments(), _Screen()
    if not privileged():
        screen.console.print(_without_privilege(arguments), highlight=False)
        return 1
    if inside_user_namespace():
        screen.console.print("Without root, in a user namespace: with the engines that may run there.\n")
    try:
        results = _demonstrate(arguments, screen)
    except KeyboardInterrupt:
        return 130
    except (wp.WirepathError, _TrafficError) as error:
        screen.console.print(str(error), style="bold red", highlight=False)
        return 1
    if results:
        screen.table(results)
        screen.console.print(_MEANING_IFACE if arguments.iface else _MEANING, highlight=False)
        screen.console.print(f"\nThe files are in {arguments.output}. To look into one:", highlight=False)
        screen.console.print(f"  {_wirepath()} read {results[0].path} | head", highlight=False)
        if not arguments.iface:
            _show_one_packet(screen)
    return _verdict(results, screen)


if __name__ == "__main__":
    sys.exit(main())
