# SPDX-License-Identifier: Apache-2.0
"""``wirepath capture``."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from wirepath import _core, compile_filter
from wirepath.capture import Capture
from wirepath.capture import open as open_capture
from wirepath.cli.bpfcode import print_program
from wirepath.cli.engines import CommandWithEngines
from wirepath.cli.group import EXIT_DROPPED
from wirepath.cli.interfaces import list_interfaces, name_of, print_interfaces
from wirepath.cli.linktypes import describe, number_of
from wirepath.cli.output import Output, drop_privileges
from wirepath.cli.params import (
    SNAPLEN,
    capture_words,
    engine_options,
    file_options,
    filter_text,
    input_options,
    print_options,
)
from wirepath.cli.running import closing_lines, observed_lines, run_to_end, save_statistics
from wirepath.engines import Engine, engines
from wirepath.errors import WirepathError
from wirepath.pipeline import Run
from wirepath.stats import Stats

__all__ = ["command", "parse_cpus"]


@click.command(cls=CommandWithEngines, short_help="Capture packets from interfaces: print, write, count.")
@capture_words
@input_options
@print_options
@file_options
@engine_options
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], **params: Any) -> int:
    """Capture packets from interfaces, and print a line for each, or write them to a file.

    FILTER is a pcap-filter(7) expression; without one, every packet is captured. Letters mean what they mean in
    tcpdump, the words of -a and -b what they mean in dumpcap. Addresses and ports are printed as numbers.

    SIGUSR1 prints the counters and goes on, SIGUSR2 flushes the file.
    """
    if params["read_file"] is not None:
        return _read_instead(ctx, words, params)
    if params["list_interfaces"]:
        print_interfaces(params["netns"])
        return 0
    text = filter_text(words, params)
    targets = _targets(params)
    if params["code"]:
        _print_code(targets[0], text, params)
        return 0
    if params["list_linktypes"] or params["list_clocks"]:
        _list_of_interface(targets, params)
        return 0
    return _capture(targets, text, params)


def parse_cpus(text: str | None) -> list[int]:
    """2,4-7 as [2, 4, 5, 6, 7]."""
    cpus: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if part and not (first.isdecimal() and (not last or last.isdecimal())):
            raise click.UsageError(f"--cpus {text}: it takes a list such as 2,4-7")
        cpus += range(int(first), int(last or first) + 1) if part else []
    return cpus


def _read_instead(ctx: click.Context, words: tuple[str, ...], params: Mapping[str, Any]) -> int:
    from wirepath.cli.read import command as read
    from wirepath.cli.read import run_read

    wanted = {param.name for param in read.params}
    theirs = {name: value for name, value in params.items() if name in wanted}
    defaults = {param.name: param.get_default(ctx) for param in read.params if param.name not in theirs}
    return run_read([params["read_file"]], filter_text(words, params), {**defaults, **theirs})


def _targets(params: Mapping[str, Any]) -> list[str]:
    if params["interfaces"]:
        return [name_of(text, params["netns"]) for text in params["interfaces"]]
    for row in list_interfaces(params["netns"]):
        if row.state.startswith("Up") and "Loopback" not in row.state:
            return [row.name]
    return ["lo"]


def _print_code(target: str, text: str, params: Mapping[str, Any]) -> None:
    snaplen = params["snaplen"] or SNAPLEN
    if params["linktype"] is not None:
        compiled = compile_filter(text, number_of(params["linktype"]), snaplen)
    else:
        compiled = _core.compile_live_filter(text, target, snaplen)
    print_program(compiled.instructions, params["code"])


def _list_of_interface(targets: list[str], params: Mapping[str, Any]) -> None:
    with _open(targets[:1], "", params) as capture:
        interface = capture.interfaces[0]
        if params["list_linktypes"]:
            print(f"Data link types for {interface.name}:")
            print(f"  {describe(interface.linktype)}")
            return
        name = capture.engine
    clocks = ("timestamps", "timestamp_type")
    option = next((o for e in engines() if e.name == name for o in e.options if o.name in clocks), None)
    print(f"Time stamp types for {targets[0]} (use option -j to set):")
    for choice in (option.choices if option is not None else ()) or ("host",):
        print(f"  {choice}")


def _capture(targets: list[str], text: str, params: Mapping[str, Any]) -> int:
    names = {row.ifindex: row.name for row in list_interfaces(params["netns"])} if "any" in targets else {}
    output = Output(params, interfaces=len(targets), names=names)
    cpus = parse_cpus(params["cpus"])
    if params["write"] == "-" and sys.stdout.isatty():
        raise click.UsageError("-w -: the packets would go to the terminal. Pipe them to a program or into a file")
    with _open(targets, text, params) as capture:
        started = time.monotonic()
        if params["user"]:
            drop_privileges(params["user"])
        _banner(capture, params)
        fault = None
        try:
            result = run_to_end(capture, output, ordered=params["ordered"], cpus=cpus, report=_report)
        except WirepathError as error:  # what was captured before it counts
            fault, result = error, Run("fault", output.packets_out, 0, 0, 0, capture.stats())
        seconds = time.monotonic() - started
    if params["only_count"]:
        print(f"{result.packets} packet{'' if result.packets == 1 else 's'}")
    _report(result.packets, result.stats)
    for line in observed_lines(capture):
        click.echo(f"wirepath: {line}", err=True)
    save_statistics(params["stats_file"], capture, result, seconds)
    if fault is not None:
        raise fault
    return EXIT_DROPPED if params["fail_on_drop"] and result.stats.dropped else 0


def _open(targets: list[str], text: str, params: Mapping[str, Any]) -> Capture:
    options = dict(params["options"])
    engine = _engine(params, options)
    return open_capture(
        targets,
        engine.name if engine is not None else None,
        filter=text,
        snaplen=params["snaplen"] or SNAPLEN,
        promisc=not params["no_promisc"],
        netns=params["netns"],
        take=params["take"],
        **options,
    )


def _engine(params: Mapping[str, Any], options: dict[str, str]) -> Engine | None:
    """The engine, and into `options` what letters of tcpdump mean for it. None: the library may choose."""
    fitting = [e for e in engines() if e.target == "interface"]
    if params["engine"] is not None:
        chosen = [e for e in fitting if e.name == params["engine"]]
        if not chosen:
            names = ", ".join(e.name for e in fitting)
            raise click.UsageError(f"there is no engine {params['engine']} for interfaces. There are: {names}")
    else:
        chosen = [e for e in fitting if not e.takes_packets and e.usable]
    for engine in chosen:
        mapped = _letters(engine, params)
        if mapped is not None and set(options) | set(mapped) <= {option.name for option in engine.options}:
            options.update({**mapped, **options})
            return engine if options or params["engine"] else None
    if chosen and all(_letters(engine, params) is None for engine in chosen):
        names = ", ".join(engine.name for engine in chosen)
        raise click.UsageError(f"no engine has all of what -B, -I, -j, -Q, -y and --process ask for. Asked: {names}")
    return next((engine for engine in chosen if _letters(engine, params) is not None), None)


LETTERS = (
    ("direction", ("direction",)),
    ("clock", ("timestamps", "timestamp_type")),
    ("monitor", ("rfmon",)),
    ("linktype", ("linktype",)),
    ("process", ("process",)),
)
"""A parameter, and how engines call the option that it is."""


def _letters(engine: Engine, params: Mapping[str, Any]) -> dict[str, str] | None:
    """Options of this engine for -B -I -j -Q -y, --process and --immediate-mode; None: it has not all of them."""
    names = {option.name: option for option in engine.options}
    mapped = {}
    for letter, candidates in LETTERS:
        if params[letter]:
            name = next((name for name in candidates if name in names), None)
            if name is None:
                return None
            mapped[name] = "on" if params[letter] is True else str(params[letter])
    if params["immediate"] and "immediate" in names:
        mapped["immediate"] = "on"
    elif params["immediate"] and "block_timeout_ms" in names:
        mapped["block_timeout_ms"] = "1"
    if params["buffer_kib"] is not None:
        mapped |= _buffer(names, params["buffer_kib"] * 1024)
    return mapped if set(mapped) <= set(names) else None


def _buffer(names: Mapping[str, Any], size: int) -> dict[str, str]:
    if "block_nr" not in names:
        return {"buffer_size": str(size)}
    return {"block_nr": str(max(2, -(-size // _bytes(names["block_size"].default))))}


def _bytes(text: str) -> int:
    units = {"k": 10, "m": 20, "g": 30}
    shift = units.get(text[-1:].lower(), 0)
    return int(text[:-1] if shift else text) << shift


def _banner(capture: Capture, params: Mapping[str, Any]) -> None:
    if params["write"] is None and not (params["verbose"] or params["as_json"] or params["only_count"]):
        click.echo("wirepath: verbose output suppressed, use -v[v]... for full protocol decode", err=True)
    for interface in capture.interfaces:
        click.echo(
            f"listening on {interface.name}, link-type {describe(interface.linktype)}, "
            f"snapshot length {interface.snaplen or SNAPLEN} bytes",
            err=True,
        )
    if capture.sources[0].takes_packets:
        click.echo("wirepath: what is captured does not reach this host's network stack", err=True)
    for note in dict.fromkeys(note for source in capture.sources for note in source.notes):
        click.echo(f"wirepath: {note}", err=True)


def _report(packets: int, stats: Stats) -> None:
    for line in closing_lines(packets, stats):
        click.echo(line, err=True)
