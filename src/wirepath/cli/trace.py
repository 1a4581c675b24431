# SPDX-License-Identifier: Apache-2.0
"""``wirepath trace``."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from wirepath import PcapngWriter
from wirepath.cli.running import ENDING
from wirepath.cli.waiting import Seconds

if TYPE_CHECKING:
    from wirepath.trace.packets import Trace, TracedPacket

__all__ = ["command"]


@click.command(short_help="Follow packets through the kernel, function by function, to their end.")
@click.option("-c", "count", type=click.IntRange(1), metavar="N", help="End after N packets.")
@click.option("--seconds", type=Seconds(min=0, min_open=True), metavar="S", help="End after S seconds.")
@click.option("--probe", "probes", metavar="LIST", help="Only these hooks or groups of hooks, separated by commas.")
@click.option("--all", "all_functions", is_flag=True, help="Every function that takes an skb (needs kprobe_multi).")
@click.option("--list", "list_hooks", is_flag=True, help="List the hooks, and whether this kernel allows each; end.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a packet, for machines (docs/json.md).")
@click.option("--pcapng", metavar="FILE", help="Write the packets to FILE too, each with its events as comments.")
@click.option(
    "-s",
    "snaplen",
    type=click.IntRange(14, 256),
    default=128,
    show_default=True,
    metavar="BYTES",
    help="Keep so many bytes of each packet.",
)
@click.option(
    "--ring",
    "ring_kib",
    type=click.IntRange(4, 1 << 20),
    default=8192,
    show_default=True,
    metavar="KIB",
    help="Size of the ring through which events come.",
)
@click.argument("words", nargs=-1, metavar="[FILTER]...")
def command(words: tuple[str, ...], **params: Any) -> int:
    """Follow the packets that match FILTER, a pcap-filter(7) expression, through the kernel of this host.

    For each packet: a line in tcpdump's manner, then a line for each place in the kernel where it was seen (time since
    it was first seen, CPU, interface, function, process or softirq, what happens there), then what became of it:
    received by whom, or dropped where and for which reason. A packet is followed through clones and copies, address
    translation and network namespaces. Without FILTER: every packet.
    """
    from wirepath.trace.packets import follow

    trace = follow(
        " ".join(words),
        count=params["count"] or 0,
        seconds=params["seconds"],
        probes=[word for word in (params["probes"] or "").split(",") if word],
        all_functions=params["all_functions"],
        snaplen=params["snaplen"],
        ring_bytes=params["ring_kib"] << 10,
    )
    with trace:
        if params["list_hooks"]:
            _list(trace)
        else:
            _run(trace, params)
    return 0


def _run(trace: Trace, params: dict[str, Any]) -> None:
    for note in trace.notes:
        click.echo(f"wirepath: {note}", err=True)
    hooks = sum(not hook.reason for hook in trace.hooks if hook.kind != "mark")
    click.echo(f"following packets at {hooks} hooks; Ctrl-C ends", err=True)
    shown = 0
    with _interrupted_by_signals(trace), _writer(params["pcapng"]) as writer:
        for packet in trace:
            _show(packet, as_json=params["as_json"])
            if writer is not None:
                _write(writer, packet)
            shown += 1
    _confess(trace, shown)


def _show(packet: TracedPacket, *, as_json: bool) -> None:
    from wirepath.trace.present import as_object, text_of

    click.echo(json.dumps(as_object(packet)) if as_json else text_of(packet) + "\n")


def _write(writer: PcapngWriter, packet: TracedPacket) -> None:
    from wirepath.trace.present import to_batch

    if packet.data:
        writer.write(to_batch([packet]))


@contextlib.contextmanager
def _writer(path: str | None) -> Iterator[PcapngWriter | None]:
    if path is None:
        yield None
        return
    with PcapngWriter(path) as writer:
        yield writer


@contextlib.contextmanager
def _interrupted_by_signals(trace: Trace) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if not (number == signal.SIGHUP and handler == signal.SIG_IGN):  # nohup
            signal.signal(number, lambda *_: trace.interrupt())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _confess(trace: Trace, shown: int) -> None:
    counts = trace.counts
    click.echo(f"{shown} packet{'' if shown == 1 else 's'} followed, {counts.packets} matched", err=True)
    if counts.lost:
        click.echo(f"{counts.lost} events lost: they came faster than they were read (a larger --ring helps)", err=True)
    if counts.missed:
        click.echo(f"{counts.missed} hooks passed unseen: another program held the CPU at that moment", err=True)


def _list(trace: Trace) -> None:
    width = max(len(hook.function) for hook in trace.hooks)
    for hook in trace.hooks:
        if hook.kind == "mark":
            continue
        state = f"no: {hook.reason}" if hook.reason else hook.stage
        click.echo(f"{hook.group:<10} {hook.kind:<10} {hook.function:<{width}}  {state}")
