# SPDX-License-Identifier: Apache-2.0
"""``wirepath send``."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click

from wirepath import _core
from wirepath.cli.engines import option_rows
from wirepath.cli.params import NAME_VALUE
from wirepath.engines import engines
from wirepath.errors import NotFoundError, error
from wirepath.flow import Flow, parse_flow, parse_sizes
from wirepath.send import Sender, SenderInfo, Sent, open_sender, send

__all__ = ["as_object", "command"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PPS = "packets/s"
_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}


class Rate(click.ParamType[float]):
    """A number above 0, with k, M or G for thousands, millions and billions."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        text = str(value)
        unit = _UNITS.get(text[-1:].lower(), 1.0)
        try:
            rate = float(text[:-1] if unit != 1.0 else text) * unit
        except ValueError:
            rate = 0.0
        if not 0 < rate < 1e15:
            self.fail(f"'{text}' is no number above 0, such as 1000, 1.5M or 10G", param, ctx)
        return rate


class Factor(click.ParamType[float]):
    """How many times as fast as recorded: 2x, 0.5x, 3."""

    name = "factor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        try:
            factor = float(str(value).removesuffix("x"))
        except ValueError:
            factor = 0.0
        if not 0 < factor < 1e9:
            self.fail(f"'{value}' is no factor above 0, such as 2x or 0.5x", param, ctx)
        return factor


class Mac(click.ParamType[bytes]):
    """An Ethernet address."""

    name = "mac"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Read it."""
        if isinstance(value, bytes):
            return value
        try:
            mac = bytes.fromhex(str(value).replace(":", "").replace("-", ""))
        except ValueError:
            mac = b""
        if len(mac) != 6:
            self.fail(f"'{value}' is no Ethernet address, such as 02:00:00:00:00:01", param, ctx)
        return mac


class SendCommand(click.Command):
    """Its help ends with the options of each engine that can send."""

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them."""
        for engine in engines():
            if engine.sends and engine.send_options:
                with formatter.section(f"Options of the engine {engine.name} (-o NAME=VALUE)"):
                    formatter.write_dl(option_rows(engine, engine.send_options))


@click.command(cls=SendCommand, short_help="Send capture files, or traffic that is made, at a chosen rate.")
@click.option("-i", "--interface", required=True, metavar="INTERFACE", help="Send on INTERFACE.")
@click.option(
    "--netns", metavar="NETNS", help="The network namespace of the interface: a name, a path or a process id."
)
@click.option("--engine", metavar="NAME", help="The way to send; without it the first that can run here.")
@click.option("-o", "options", type=NAME_VALUE, multiple=True, help="An option of the engine's own: see below.")
@click.option("--speed", type=Factor(), metavar="FACTOR", help="So many times as fast as recorded: 2x, 0.5x.")
@click.option("--pps", type=Rate(), metavar="RATE", help="Packets a second: 1000, 1.5M.")
@click.option(
    "--bps", type=Rate(), metavar="RATE", help="Bits a second, of frames without FCS, preamble and gap: 100M."
)
@click.option("--top", is_flag=True, help="As fast as it goes.")
@click.option(
    "--loop", type=click.IntRange(min=0), metavar="TIMES", help="Send everything TIMES times; 0: until Ctrl-C."
)
@click.option("-c", "--count", type=click.IntRange(min=1), metavar="COUNT", help="End after COUNT packets.")
@click.option("--duration", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so many seconds.")
@click.option(
    "--flow",
    metavar="FLOW",
    help="Make traffic: 'udp 10.0.0.1:1000-1999 > 10.0.0.2:53', 'tcp syn 10.0.0.1:9 > 10.0.0.2:80'.",
)
@click.option("--size", default="60", metavar="SIZES", help="Of what --flow makes, in bytes without FCS: 60,1514,imix.")
@click.option("--source-mac", type=Mac(), metavar="MAC", help="Of what --flow makes; without it the interface's own.")
@click.option("--target-mac", type=Mac(), metavar="MAC", help="Without it that of the target or the gateway to it.")
@click.option("--cpu", type=click.IntRange(min=0), metavar="CPU", help="Send from this CPU.")
@click.option("--force", is_flag=True, help="Send even where this host's default route leaves.")
@click.option(
    "--json", "as_json", is_flag=True, help="Say on standard output how it went, for machines (docs/json.md)."
)
@click.argument("words", nargs=-1, metavar="[FILE] [FILTER]...")
def command(words: tuple[str, ...], **params: Any) -> int:
    """Send the packets of a capture FILE on an interface, as they were recorded or at another rate.

    Of FILE (-: standard input) those that the FILTER, a pcap-filter(7) expression, lets through. With --flow no FILE is
    read: every combination of the flow's addresses and ports is sent once in each size, or again and again with -c,
    --duration or --loop. Bytes go out as they are; VLAN tags that were in metadata are put back into them.

    Ends with 1 if a packet could not be sent.
    """
    what, text = _what(words, params)
    if sum(params[rate] not in (None, False) for rate in ("speed", "pps", "bps", "top")) > 1:
        raise click.UsageError("--speed, --pps, --bps and --top are four rates: give one of them")
    with open_sender(
        params["interface"], params["engine"], netns=params["netns"], force=params["force"], **dict(params["options"])
    ) as sender:
        info = sender.info
        _banner(info, what, params)
        run = _Run(sender)
        result = run.to_end(what, text, params)
        _say(f"wirepath: {note}" for note in _notes(result, info))
        if params["as_json"]:
            click.echo(json.dumps(as_object(result, info, params), indent=2))
        else:
            _say(_closing_lines(result))
    return 1 if result.stats.errors else 0


def _what(words: tuple[str, ...], params: Mapping[str, Any]) -> tuple[str | Flow, str]:
    if params["flow"] is not None:
        if words:
            raise click.UsageError("--flow makes packets, and FILE has some: give one of them")
        return parse_flow(params["flow"]), ""
    if not words:
        raise click.UsageError("name a capture file, or - for standard input, or make packets with --flow")
    name = words[0]
    if name == "-" and sys.stdin.isatty():
        raise click.UsageError("-: standard input is a terminal. Pipe a capture into it")
    if name != "-" and not Path(name).exists():
        raise error(NotFoundError, f"there is no file '{name}'")
    return name, " ".join(words[1:])


class _Run:
    """One that the user's signals end, and that a terminal shows."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.ended = False
        self.shown = sys.stderr.isatty()
        self.last = time.monotonic()
        self.last_packets = 0
        self.width = 0

    def end(self, _number: int, _frame: FrameType | None) -> None:
        self.ended = True

    def look(self, sending: _core.Sending) -> bool:
        now = time.monotonic()
        if self.shown and now - self.last >= 0.5:
            rate = (sending.packets - self.last_packets) / (now - self.last)
            self.last, self.last_packets = now, sending.packets
            line = f"{sending.packets} packets, {_units(rate, PPS)}, {self.sender.stats().errors} errors"
            click.echo("\r" + line.ljust(self.width), nl=False, err=True)
            self.width = len(line)
        return self.ended

    def to_end(self, what: str | Flow, text: str, params: Mapping[str, Any]) -> Sent:
        before = {number: signal.getsignal(number) for number in _ENDING}
        for number, handler in before.items():
            if not (number == signal.SIGHUP and handler == signal.SIG_IGN):  # nohup
                signal.signal(number, self.end)
        try:
            return send(
                what if isinstance(what, Flow) else os.fspath(what),
                self.sender,
                pps=params["pps"],
                bps=params["bps"],
                speed=params["speed"],
                top=params["top"],
                passes=params["loop"],
                count=params["count"],
                seconds=params["duration"],
                filter=text,
                sizes=parse_sizes(params["size"]),
                source_mac=params["source_mac"],
                target_mac=params["target_mac"],
                netns=params["netns"],
                cpu=params["cpu"],
                progress=self.look,
            )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self.width:
                click.echo("\r" + " " * self.width + "\r", nl=False, err=True)


def _say(lines: Any) -> None:
    for line in lines:
        click.echo(line, err=True)


def _banner(info: SenderInfo, what: str | Flow, params: Mapping[str, Any]) -> None:
    source = params["flow"] if isinstance(what, Flow) else what
    _say([f"sending {source} on {info.interface} with {info.engine} ({info.mode}), {_asked(params)}"])
    _say(f"wirepath: {note}" for note in info.notes)


def _asked(params: Mapping[str, Any]) -> str:
    if params["pps"] is not None:
        return _units(params["pps"], PPS)
    if params["bps"] is not None:
        return _units(params["bps"], "bit/s")
    if params["speed"] is not None:
        return f"{params['speed']:g} times as fast as recorded"
    return "as fast as it goes" if params["top"] or params["flow"] is not None else "as recorded"


def _units(value: float, of: str) -> str:
    """A rate of packets or bits."""
    for unit in ("", "k", "M"):
        if value < 1000:
            return f"{value:.4g} {unit}{of}"
        value /= 1000
    return f"{value:.4g} G{of}"


def _closing_lines(result: Sent) -> list[str]:
    stats = result.stats
    lines = [f"{_count(stats.queued, 'sent')}, {stats.queued_bytes} bytes, in {result.seconds:.3f} s"]
    if result.pps is not None and result.bps is not None:
        rate = f"{_units(result.pps, PPS)}, {_units(result.bps, 'bit/s')}"
        if result.asked_pps is not None:
            share = 100 * result.pps / result.asked_pps
            rate += f"; asked for {_units(result.asked_pps, PPS)}: {share:.1f} % of it"
        lines.append(rate)
    lines.append("an unknown number completed" if stats.completed is None else _count(stats.completed, "completed"))
    lines.append(_count(stats.errors, "not sent"))
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} packet{'' if number == 1 else 's'} {what}"


def _notes(result: Sent, info: SenderInfo) -> list[str]:
    stats, notes = result.stats, []
    if stats.too_big:
        notes.append(
            f"{_count(stats.too_big, 'longer')} than the MTU of {info.interface} ({info.mtu}) allows: not sent. Where "
            "GRO or LRO was on, a capture has several packets as one; or: "
            f"ip link set {info.interface} mtu …"
        )
    if result.cut:
        notes.append(f"{_count(result.cut, 'cut')} when they were recorded: sent as they are")
    if result.asked_pps and result.pps and result.pps < 0.98 * result.asked_pps:
        notes.append(f"slower than asked for: the last packets were up to {result.latest_ns / 1e6:.1f} ms late")
    return notes


def as_object(result: Sent, info: SenderInfo, params: Mapping[str, Any]) -> dict[str, Any]:
    """As ``send --json`` says it (docs/json.md)."""
    return {
        "v": 1,
        "interface": info.interface,
        "engine": info.engine,
        "mode": info.mode,
        "granted": [{"name": item.name, "asked": item.asked, "granted": item.granted} for item in info.granted],
        "mtu": info.mtu,
        "asked": _asked(params),
        "end": result.end,
        "packets": result.packets,
        "bytes": result.bytes,
        "cut": result.cut,
        "passes": result.passes,
        "seconds": result.seconds,
        "asked_seconds": result.asked_seconds,
        "pps": result.pps,
        "asked_pps": result.asked_pps,
        "bps": result.bps,
        "latest_ns": result.latest_ns,
        "cpu_ns": result.cpu_ns,
        "stats": vars(result.stats),
        "notes": [*info.notes, *_notes(result, info)],
    }
