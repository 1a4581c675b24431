# SPDX-License-Identifier: Apache-2.0
"""``wirepath info``."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from wirepath.cli.linktypes import describe
from wirepath.errors import WirepathError
from wirepath.files import FileInterface, FileSummary, summarize

__all__ = ["as_object", "command"]

Rows = list[tuple[str, str]]

SECTION_TEXTS = {"application": "Application", "hardware": "Hardware", "os": "System"}


@click.command(short_help="Say what is in capture files.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="An object a line (docs/json.md).")
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Say what each capture FILE is and what is in it: capinfos' facts.

    Times are local. A damaged file's facts are those of what stands before the damage, and the exit status is 1.
    """
    status = 0
    for number, path in enumerate(files):
        try:
            summary = summarize(path)
        except WirepathError as error:
            click.echo(f"wirepath: {error}", err=True)
            status = 1
            continue
        if as_json:
            click.echo(json.dumps(as_object(path, summary)))
        else:
            if number:
                click.echo()
            _show(path, summary)
        if summary.damage is not None:
            click.echo(f"wirepath: {summary.damage}", err=True)
            status = 1
    return status


def as_object(path: str, summary: FileSummary) -> dict[str, Any]:
    """As `info --json` says it."""
    facts = asdict(summary)
    facts["blocks"] = {f"0x{kind:08x}": count for kind, count in summary.blocks.items()}
    for interface in facts["interfaces"]:
        interface["mac"] = interface["mac"].hex(":")
    return {"v": 1, "file": path, **facts, **_rates(summary), "sha256": _sha256(path)}


def _rates(summary: FileSummary) -> dict[str, Any]:
    """What follows from the times; None where there is no time or no duration."""
    if summary.first_ts is None or summary.last_ts is None:
        return {"duration_ns": None, "packets_per_second": None, "bytes_per_second": None}
    duration = summary.last_ts - summary.first_ts
    return {
        "duration_ns": duration,
        "packets_per_second": summary.packets * 1e9 / duration if duration else None,
        "bytes_per_second": summary.original_bytes * 1e9 / duration if duration else None,
    }


def _sha256(path: str) -> str | None:
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _show(path: str, summary: FileSummary) -> None:
    rows = [("File", path), ("Type", _kind(summary)), *_sizes(summary), *_times(summary), *_contents(summary)]
    digest = _sha256(path)
    if digest is not None:
        rows.append(("SHA256", digest))
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        click.echo(f"{name + ':':<{width}} {value}")
    for number, interface in enumerate(summary.interfaces):
        _show_interface(number, interface)


def _kind(summary: FileSummary) -> str:
    words = [summary.format, *([summary.variant] if summary.variant else [])]
    if summary.big_endian:
        words.append("big endian")
    if summary.compression:
        words.append(summary.compression)
    return ", ".join(words)


def _sizes(summary: FileSummary) -> Rows:
    links = sorted({describe(interface.linktype) for interface in summary.interfaces})
    limits = sorted({interface.snaplen for interface in summary.interfaces})
    rows = [
        ("Link types", "; ".join(links) or "none"),
        ("Snapshot length", ", ".join(f"{limit} bytes" if limit else "no limit" for limit in limits) or "none"),
        ("Packets", str(summary.packets)),
        ("File size", f"{summary.file_bytes} bytes"),
    ]
    if summary.compression:
        rows.append(("Decompressed", f"{summary.plain_bytes} bytes"))
    rows.append(("Data captured", f"{summary.bytes} bytes"))
    rows.append(("Data on the wire", f"{summary.original_bytes} bytes"))
    if summary.packets:
        rows.append(("Average packet", f"{summary.original_bytes / summary.packets:.2f} bytes"))
        rows.append(("Captured lengths", f"{summary.least_caplen} to {summary.most_caplen} bytes"))
        rows.append(("Cut by the snapshot", f"{summary.cut_packets} packets"))
    return rows


def _times(summary: FileSummary) -> Rows:
    if summary.first_ts is None or summary.last_ts is None:
        return [("Times", "none")]
    duration = summary.last_ts - summary.first_ts
    rows = [
        ("Earliest packet", _local(summary.first_ts)),
        ("Latest packet", _local(summary.last_ts)),
        ("Duration", f"{_seconds(duration)} s"),
        ("In order of time", "yes" if summary.in_order else "no"),
    ]
    if duration:
        rate = summary.original_bytes * 1e9 / duration
        rows.append(("Data rate", f"{rate:.2f} bytes/s, {rate * 8:.2f} bit/s"))
        rows.append(("Packet rate", f"{summary.packets * 1e9 / duration:.2f} packets/s"))
    if summary.packets_without_time:
        rows.append(("Without a time", f"{summary.packets_without_time} packets"))
    return rows


def _seconds(ns: int) -> str:
    return f"{ns // 10**9}.{ns % 10**9:09d}"


def _local(ns: int) -> str:
    whole, rest = divmod(ns, 10**9)
    return f"{datetime.fromtimestamp(whole).astimezone():%Y-%m-%d %H:%M:%S}.{rest:09d}"


def _contents(summary: FileSummary) -> Rows:
    rows = [(SECTION_TEXTS.get(name, name), text) for name, text in summary.section_texts.items() if text]
    rows += [("Comment", comment) for comment in summary.section_comments]
    if summary.format == "pcapng":
        rows.append(("Sections", str(summary.sections)))
        rows.append(("Comments", str(summary.comments)))
        rows.append(("Unknown blocks", str(summary.unknown_blocks)))
    rows.append(("Interfaces", str(len(summary.interfaces))))
    return rows


def _show_interface(number: int, interface: FileInterface) -> None:
    click.echo(f"Interface {number}: {interface.name or '(no name)'}, {describe(interface.linktype)}")
    losses = [
        ("received", interface.received),
        ("dropped by the interface", interface.dropped_interface),
        ("accepted by the filter", interface.filter_accepted),
        ("dropped by the system", interface.dropped_os),
        ("delivered", interface.delivered),
    ]
    texts = [
        ("Description", interface.description),
        ("Filter", interface.filter),
        ("System", interface.os),
        ("Hardware", interface.hardware),
        ("Address", interface.mac.hex(":")),
        ("Speed", f"{interface.speed_bps} bit/s" if interface.speed_bps else ""),
        ("Packets", f"{interface.packets}, {interface.bytes} bytes captured"),
        ("The file says", ", ".join(f"{count} {what}" for what, count in losses if count is not None)),
    ]
    for name, text in texts:
        if text:
            click.echo(f"  {name + ':':<15} {text}")
