# SPDX-License-Identifier: Apache-2.0
"""``wirepath read``."""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from wirepath import FileSink, compile_filter
from wirepath.capture import Capture
from wirepath.capture import open as open_capture
from wirepath.cli.bpfcode import print_program
from wirepath.cli.engines import CommandWithEngines
from wirepath.cli.linktypes import describe, number_of
from wirepath.cli.output import Output, drop_privileges
from wirepath.cli.params import SNAPLEN, engine_options, file_options, filter_text, input_options, print_options
from wirepath.cli.running import run_to_end, save_statistics
from wirepath.errors import NotFoundError, error
from wirepath.pipeline import run

__all__ = ["command", "run_read"]


class ReadCommand(CommandWithEngines):
    """Its engine reads files."""

    target = "file"


@click.command(cls=ReadCommand, short_help="Read capture files: print, filter, merge, convert, follow.")
@click.option("-r", "read_files", multiple=True, metavar="FILE", help="Read FILE: all words are then the filter's.")
@click.option("--follow", is_flag=True, help="Wait at the file's end for more; Ctrl-C ends.")
@click.option("--deep", is_flag=True, help="Let tshark say everything that it knows of each packet.")
@input_options
@print_options
@file_options
@engine_options
@click.argument("words", nargs=-1, metavar="[FILE]... [FILTER]...")
def command(words: tuple[str, ...], **params: Any) -> int:
    """Read capture FILEs, and print a line for each packet, or write them to another file.

    The first words that name existing files (or -, standard input) are the FILEs, the others the FILTER, a
    pcap-filter(7) expression. pcap and pcapng are read, also compressed with gzip or zstd. Several files are merged by
    time. With -w comments, options and blocks that Wirepath does not know survive.
    """
    files, words = _files(words, params["read_files"])
    return run_read(files, filter_text(words, params), params)


def _files(words: tuple[str, ...], given: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    if given:
        return list(given), words
    count = 0
    while count < len(words) and (words[count] == "-" or Path(words[count]).exists()):
        count += 1
    if count < len(words) and (count == 0 or _looks_like_a_file(words[count])):
        raise error(NotFoundError, f"there is no file '{words[count]}'")
    if count == 0:
        raise click.UsageError("name a capture file, or - for standard input")
    return list(words[:count]), words[count:]


def _looks_like_a_file(word: str) -> bool:
    return word.endswith((".pcap", ".pcapng", ".cap", ".gz", ".zst"))


def run_read(files: list[str], text: str, params: Mapping[str, Any]) -> int:
    """Do what `wirepath read` does, with its options."""
    if "-" in files and sys.stdin.isatty():
        raise click.UsageError("-: standard input is a terminal. Pipe a capture into it")
    if params["write"] == "-" and sys.stdout.isatty():
        raise click.UsageError("-w -: the packets would go to the terminal. Pipe them to a program or into a file")
    output = Output(params)
    options = dict(params["options"])
    if params["follow"]:
        options["follow"] = "on"
    targets = [name if name == "-" or "/" in name else f"./{name}" for name in files]
    with open_capture(targets, filter=text, snaplen=params["snaplen"] or SNAPLEN, **options) as capture:
        if params["code"]:
            _print_code(capture, text, params)
            return 0
        if params["deep"]:
            return _deep(capture, output)
        if params["user"]:
            drop_privileges(params["user"])
        _banner(files, capture, output)
        started = time.monotonic()
        result = run_to_end(capture, output, ordered=len(files) > 1)
        seconds = time.monotonic() - started
    if params["only_count"]:
        print(f"{result.packets} packet{'' if result.packets == 1 else 's'}")
    save_statistics(params["stats_file"], capture, result, seconds)
    return 0


def _print_code(capture: Capture, text: str, params: Mapping[str, Any]) -> None:
    linktype = number_of(params["linktype"]) if params["linktype"] else capture.interfaces[0].linktype
    print_program(compile_filter(text, linktype, params["snaplen"] or SNAPLEN).instructions, params["code"])


def _banner(files: list[str], capture: Capture, output: Output) -> None:
    if not output.prints or output.params["as_json"]:
        return
    for name, interface in zip(files, capture.interfaces, strict=False):
        click.echo(f"reading from file {name}, link-type {describe(interface.linktype)}", err=True)


def _deep(capture: Capture, output: Output) -> int:
    tshark = shutil.which("tshark")
    if tshark is None:
        raise click.ClickException("--deep needs tshark. Install it: apt-get install tshark")
    with subprocess.Popen([tshark, "-V", "-n", "-r", "-"], stdin=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        try:
            run(capture, FileSink(f"/dev/fd/{reader.stdin.fileno()}"), count=output.packets)
        except BrokenPipeError:
            pass
        finally:
            reader.stdin.close()
    return reader.returncode
