# SPDX-License-Identifier: Apache-2.0
"""Where packets go: the sinks that the options ask for."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from wirepath import CountSink, FileSink, PrintSink, Sink, TeeSink

__all__ = ["Output", "drop_privileges", "print_style", "write_json"]

TIMES = ("clock", "none", "epoch", "since_previous", "date", "since_first")
SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def print_style(params: Mapping[str, Any]) -> dict[str, Any]:
    """What PrintSink takes, from tcpdump's letters."""
    if params["time"] >= len(TIMES):
        raise click.UsageError(f"-t can be given {len(TIMES) - 1} times at the most")
    precision = params["time_stamp_precision"]
    return {
        "json": params["as_json"],
        "data": bool(params["hex_dump"] or params["hex_ascii"]),
        "time": TIMES[params["time"]],
        "nanoseconds": params["nano"] or precision == "nano",
        "link_header": params["link_header"],
        "verbosity": min(params["verbose"], 3),
        "quiet": params["quiet"],
        "absolute_seq": params["absolute_seq"],
        "checksums": not params["no_checksums"],
        "numbers": params["numbers"],
        "dump": _dump(params),
        "line_buffered": params["line_buffered"],
    }


def _dump(params: Mapping[str, Any]) -> str:
    for name, kind in (("hex_ascii", "hex_ascii"), ("hex_dump", "hex"), ("ascii_dump", "ascii")):
        if params[name]:
            return kind + ("_link" if params[name] > 1 else "")
    return "none"


@dataclass
class Output:
    """What to make of the packets, and when to end because of it."""

    params: Mapping[str, Any]
    interfaces: int = 1
    names: dict[int, str] = field(default_factory=dict)
    seconds: float | None = None
    packets: int | None = None
    printname: str | None = None
    rotation: dict[str, Any] = field(default_factory=dict)
    writer: FileSink | None = None
    printer: PrintSink | None = None

    def __post_init__(self) -> None:
        self.packets = self.params["packets"]
        self._tcpdump_rotation()
        self._dumpcap_words()
        if self.rotation and not self.params["write"]:
            raise click.UsageError("-C, -G, -W, -z, -a files:, -a filesize: and -b are for files: name one with -w")
        if self.rotation and self.params["write"] == "-":
            raise click.UsageError("standard output cannot be rotated: give -w a file's name")

    def _tcpdump_rotation(self) -> None:
        params, rotation = self.params, self.rotation
        if params["file_size"] is not None:
            rotation["rotate_bytes"] = _file_size(params["file_size"])
        if params["rotate_seconds"] is not None:
            rotation["rotate_after"] = float(params["rotate_seconds"])
        if params["file_count"] is not None:
            if not rotation:
                raise click.UsageError("-W needs -C or -G")
            by_time_alone = "rotate_bytes" not in rotation
            rotation["stop_after_files" if by_time_alone else "keep_files"] = params["file_count"]
        if params["command"]:
            rotation["command"] = params["command"]

    def _dumpcap_words(self) -> None:
        for name, value in self.params["switch_words"]:
            self.rotation["naming"] = "dumpcap"
            if name == "printname":
                self.printname = value
            elif name == "nametimenum":
                if value != "1":
                    raise click.UsageError("-b nametimenum: names are NAME_NUMBER_TIME here, which is 1")
            elif name in ("duration", "interval"):
                self.rotation["rotate_after"] = _number(name, value)
                self.rotation["rotate_aligned"] = name == "interval"
            else:
                key = {"filesize": "rotate_bytes", "packets": "rotate_packets", "files": "keep_files"}[name]
                self.rotation[key] = int(_number(name, value)) * (1000 if name == "filesize" else 1)
        for name, value in self.params["stop_words"]:
            if name == "duration":
                self.seconds = _number(name, value)
            elif name == "packets":
                self.packets = min(int(_number(name, value)), self.packets or sys.maxsize)
            elif name == "files":
                self.rotation["stop_after_files"] = int(_number(name, value))
            else:
                self.rotation["rotate_bytes"] = int(_number(name, value)) * 1000
                self.rotation.setdefault("stop_after_files", 1)

    def sink(self) -> Sink:
        """Open what is to be written: after privileges were dropped."""
        sinks: list[Sink] = []
        if self.params["write"]:
            self.writer = self._file()
            sinks.append(self.writer)
        if self.params["only_count"]:
            sinks.append(CountSink())
        elif not self.params["write"] or self.params["also_print"]:
            self.printer = PrintSink(1, **print_style(self.params), interfaces=self.interfaces > 1, names=self.names)
            sinks.append(self.printer)
        return sinks[0] if len(sinks) == 1 else TeeSink(sinks)

    def _file(self) -> FileSink:
        path = self.params["write"]
        nano = self.params["time_stamp_precision"] != "micro" and not self.params["micro"]
        return FileSink(
            path,
            nanoseconds=nano,
            packet_buffered=self.params["packet_buffered"],
            flush_after=self.params["flush_seconds"],
            **self.rotation,
        )

    @property
    def packets_out(self) -> int:
        """Packets that were written, or printed."""
        sink = self.writer or self.printer
        return sink.packets if sink is not None else 0

    @property
    def prints(self) -> bool:
        """Whether packets appear on standard output."""
        return not self.params["only_count"] and (not self.params["write"] or self.params["also_print"])

    def print_names(self) -> None:
        """Names of files that are complete, for -b printname."""
        if self.printname is None or self.writer is None:
            return
        new = self.writer.take_completed()
        if not new:
            return
        text = "".join(f"{path}\n" for path in new)
        if self.printname in ("stdout", "-"):
            click.echo(text, nl=False)
        elif self.printname == "stderr":
            click.echo(text, nl=False, err=True)
        else:
            with Path(self.printname).open("a") as names:
                names.write(text)


def _file_size(text: str) -> int:
    """-C: millions of bytes, or a number with k, M or G."""
    unit = SIZE_UNITS.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    if not digits.isdecimal() or int(digits) == 0:
        raise click.UsageError(f"-C {text}: it takes a whole number of million bytes, or one with k, M or G")
    return int(digits) * (unit or 1_000_000)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise click.UsageError(f"{name}:{text}: it takes a number above 0")
    return value


def drop_privileges(user: str) -> None:
    """Become `user`, with their groups, for good.

    Raises:
        click.ClickException: there is no such user, or this process may not.
    """
    import pwd

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise click.ClickException(f"-Z: there is no user {user}") from None
    try:
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except PermissionError:
        raise click.ClickException(f"-Z: only root may become {user}") from None


def write_json(value: object, path: str) -> None:
    """To a file, or - for standard output."""
    text = json.dumps(value, indent=2) + "\n"
    if path == "-":
        click.echo(text, nl=False)
    else:
        Path(path).write_text(text)
