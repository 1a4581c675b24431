# SPDX-License-Identifier: Apache-2.0
"""The options that commands share, with tcpdump's letters and dumpcap's words."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

__all__ = [
    "NAME_VALUE",
    "SNAPLEN",
    "OneOf",
    "capture_words",
    "engine_options",
    "file_options",
    "filter_text",
    "input_options",
    "print_options",
]

SNAPLEN = 262144
"""Bytes of a packet that are kept where nothing else was asked for (-s 0)."""

F = TypeVar("F", bound=Callable[..., Any])


class NameValue(click.ParamType[tuple[str, str]]):
    """NAME=VALUE or, for dumpcap's words, NAME:VALUE."""

    def __init__(self, separator: str, names: Mapping[str, str] | None = None) -> None:
        self.separator = separator
        self.names = names
        self.name = f"NAME{separator}VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split it, and check the name where the names are known."""
        if isinstance(value, tuple):
            return value
        name, separator, rest = str(value).partition(self.separator)
        if not separator or not name:
            self.fail(f"'{value}' is not {self.name}", param, ctx)
        if self.names is not None and name not in self.names:
            self.fail(f"'{name}' is none of: {', '.join(self.names)}", param, ctx)
        return name, rest


class OneOf(click.Choice[str]):
    """A choice that is shown as one word in the list of options."""


NAME_VALUE = NameValue("=")

STOP_WORDS = {
    "duration": "seconds",
    "filesize": "kB of output",
    "files": "files",
    "packets": "packets",
}
SWITCH_WORDS = {
    "duration": "seconds",
    "interval": "at multiples of so many seconds",
    "filesize": "kB",
    "packets": "packets",
    "files": "keep only so many",
    "printname": "where to print each finished file's name: a file, stdout or stderr",
    "nametimenum": "1: the time before the number in names, 2: after it",
}


def apply(function: F, options: list[Callable[[F], F]]) -> F:
    """Decorate so that the options are listed in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def print_options(function: F) -> F:
    """How packets are printed."""
    return apply(
        function,
        [
            click.option("-v", "verbose", count=True, help="Say more of each packet; -vv and -vvv still more."),
            click.option("-q", "quiet", is_flag=True, help="Say less of each packet."),
            click.option("-e", "link_header", is_flag=True, help="Print the link-level header."),
            click.option("-n", "numeric", count=True, help="Accepted for habit's sake: names are never looked up."),
            click.option(
                "-t",
                "time",
                count=True,
                help="-t no times, -tt since the epoch, -ttt since the packet before, -tttt with the date, "
                "-ttttt since the first packet.",
            ),
            click.option("--nano", is_flag=True, help="Times in nanoseconds, not in microseconds."),
            click.option("--micro", is_flag=True, help="Times in microseconds, as is the default."),
            click.option(
                "--time-stamp-precision", type=OneOf(["nano", "micro"]), help="The same as --nano or --micro."
            ),
            click.option("-x", "hex_dump", count=True, help="Print the bytes in hex; -xx with the link header."),
            click.option("-X", "hex_ascii", count=True, help="Print them in hex and ASCII; -XX with the link header."),
            click.option("-A", "ascii_dump", count=True, help="Print them in ASCII; -AA with the link header."),
            click.option(
                "-S", "--absolute-tcp-sequence-numbers", "absolute_seq", is_flag=True, help="Not relative ones."
            ),
            click.option(
                "-K", "--dont-verify-checksums", "no_checksums", is_flag=True, help="Say nothing of checksums."
            ),
            click.option("-#", "--number", "numbers", is_flag=True, help="Number the lines."),
            click.option("-l", "line_buffered", is_flag=True, help="Let each line out at once."),
            click.option(
                "--json", "as_json", is_flag=True, help="An object a line (docs/json.md); with -x the bytes, too."
            ),
            click.option("--count", "only_count", is_flag=True, help="Print only how many packets there were."),
        ],
    )


def input_options(function: F) -> F:
    """Which packets, and how much of them."""
    return apply(
        function,
        [
            click.option("-c", "packets", type=click.IntRange(min=1), metavar="COUNT", help="End after COUNT packets."),
            click.option(
                "-s",
                "--snapshot-length",
                "snaplen",
                type=click.IntRange(min=0, max=262144),
                default=0,
                metavar="BYTES",
                help="Keep so many bytes of each packet; 0: 262144.",
            ),
            click.option(
                "-F",
                "filter_file",
                type=click.File("r"),
                metavar="FILE",
                help="Read the filter from FILE; filter words on the command line are ignored.",
            ),
            click.option(
                "-d",
                "code",
                count=True,
                help="Print the filter's program and end; -dd as C, -ddd as numbers.",
            ),
            click.option(
                "-y", "--linktype", "linktype", metavar="TYPE", help="The link type to capture, or to compile for (-d)."
            ),
        ],
    )


def file_options(function: F) -> F:
    """Writing packets to files."""
    return apply(
        function,
        [
            click.option(
                "-w",
                "write",
                metavar="FILE",
                help="Write to FILE, not print: .pcap or .pcapng, else pcapng; .gz and .zst compress; -: standard "
                "output. With -G its name may hold strftime(3) conversions.",
            ),
            click.option("--print", "also_print", is_flag=True, help="Print, too, with -w."),
            click.option(
                "-C",
                "file_size",
                metavar="SIZE",
                help="Begin a new file after SIZE million bytes; with k, M or G: KiB, MiB or GiB.",
            ),
            click.option(
                "-G",
                "rotate_seconds",
                type=click.IntRange(min=1),
                metavar="SECONDS",
                help="Begin a new file every SECONDS.",
            ),
            click.option(
                "-W",
                "file_count",
                type=click.IntRange(min=1),
                metavar="FILES",
                help="With -C: keep so many files, overwriting the oldest. With -G: end after so many.",
            ),
            click.option("-z", "command", metavar="COMMAND", help="Run `COMMAND FILE` on each file that is complete."),
            click.option(
                "-a",
                "--autostop",
                "stop_words",
                type=NameValue(":", STOP_WORDS),
                multiple=True,
                help="End after duration:SECONDS, packets:N, files:N or filesize:KB.",
            ),
            click.option(
                "-b",
                "--ring-buffer",
                "switch_words",
                type=NameValue(":", SWITCH_WORDS),
                multiple=True,
                help="Begin a new file after duration:SECONDS, interval:SECONDS, filesize:KB or packets:N; "
                "files:N keeps the last N; printname:FILE prints the names.",
            ),
            click.option(
                "-U", "--packet-buffered", "packet_buffered", is_flag=True, help="Write each packet out at once."
            ),
            click.option(
                "--flush",
                "flush_seconds",
                type=click.FloatRange(min=0),
                metavar="SECONDS",
                help="What was captured is in the file after so long: 1 by default, 0.01 for a pipe.",
            ),
            click.option(
                "-Z",
                "--relinquish-privileges",
                "user",
                metavar="USER",
                help="Become USER after opening; files, rotated ones too, are USER's.",
            ),
        ],
    )


def engine_options(function: F) -> F:
    """The engine and its own options."""
    return apply(
        function,
        [
            click.option(
                "-o",
                "options",
                type=NAME_VALUE,
                multiple=True,
                help="An option of the engine's own: see below.",
            ),
            click.option(
                "--stats-json", "stats_file", metavar="FILE", help="Write the statistics to FILE at the end; -: stdout."
            ),
        ],
    )


def capture_words(function: F) -> F:
    """What is only for interfaces."""
    return apply(
        function,
        [
            click.option(
                "-i",
                "--interface",
                "interfaces",
                multiple=True,
                metavar="INTERFACE",
                help="Capture from INTERFACE (a name, its number in -D, or any); may be given several times.",
            ),
            click.option("-r", "read_file", metavar="FILE", help="Read FILE, as `wirepath read` does."),
            click.option("-D", "--list-interfaces", "list_interfaces", is_flag=True, help="List the interfaces."),
            click.option(
                "-L", "--list-data-link-types", "list_linktypes", is_flag=True, help="List the interface's link types."
            ),
            click.option(
                "-J",
                "--list-time-stamp-types",
                "list_clocks",
                is_flag=True,
                help="List the clocks that may stamp its packets.",
            ),
            click.option("-j", "--time-stamp-type", "clock", metavar="TYPE", help="The clock that stamps them."),
            click.option("-p", "--no-promiscuous-mode", "no_promisc", is_flag=True, help="Not what is for others."),
            click.option("-I", "--monitor-mode", "monitor", is_flag=True, help="Monitor mode, on Wi-Fi."),
            click.option("--immediate-mode", "immediate", is_flag=True, help="Let nothing wait in a buffer."),
            click.option(
                "-Q",
                "--direction",
                "direction",
                type=OneOf(["in", "out", "inout"]),
                help="Only what comes in or goes out.",
            ),
            click.option(
                "-B",
                "--buffer-size",
                "buffer_kib",
                type=click.IntRange(min=1),
                metavar="KIB",
                help="Size of the kernel's buffer or ring.",
            ),
            click.option(
                "--engine", "engine", metavar="NAME", help="The engine; else the best that leaves packets be."
            ),
            click.option(
                "--take", is_flag=True, help="Let an engine take packets from the interface of the default route."
            ),
            click.option("--process", is_flag=True, help="Whose packets they are (a comment in pcapng files)."),
            click.option("--netns", metavar="NAME", help="In this network namespace: a name, a path or a process id."),
            click.option("--ordered", is_flag=True, help="Merge several interfaces or workers by time."),
            click.option("--cpus", metavar="LIST", help="Run the receiving threads on these CPUs: 2,4-7."),
            click.option("--fail-on-drop", is_flag=True, help="Exit with 3 if packets were lost."),
        ],
    )


def filter_text(words: tuple[str, ...], params: Mapping[str, Any]) -> str:
    """The filter: -F before the words."""
    if params["filter_file"] is not None:
        return " ".join(line.split("#")[0].strip() for line in params["filter_file"]).strip()
    return " ".join(words)
