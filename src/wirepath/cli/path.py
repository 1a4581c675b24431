# SPDX-License-Identifier: Apache-2.0
"""``wirepath path``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path as File

import click

from wirepath.cli.interfaces import name_of
from wirepath.cli.waiting import Patience, Seconds
from wirepath.path.reading import PathReader, measured_copies
from wirepath.path.stage import Path
from wirepath.path.text import lines

__all__ = ["command"]

_WIDEST = 120


@click.command(short_help="Show the stages that a packet passes from the wire to the application.")
@click.argument("interface", metavar="IFACE")
@click.option("--engine", metavar="E", help="Mark the way to this engine, and what it does not meet.")
@click.option("--netns", metavar="NS", help="Another network namespace: its name, path, or a process id.")
@click.option("-w", "--watch", is_flag=True, help="Show it again and again, with what the counters add.")
@click.option("--interval", type=Seconds(min=0.1), default=1.0, show_default=True, help="Seconds between.")
@click.option("--copies", metavar="FILE", help="Show the copies that `wirepath copies --json` measured into FILE.")
@click.option("--commands", is_flag=True, help="With the command that shows each stage.")
@click.option("--json", "as_json", is_flag=True, help="An object; with --watch one a line (docs/json.md).")
@click.option("--svg", metavar="FILE", help="Draw it: a picture for a wall, a page or a talk.")
@click.option("--html", metavar="FILE", help="The picture and all details, as a page that needs nothing else.")
def command(
    interface: str,
    engine: str | None,
    netns: str | None,
    watch: bool,
    interval: float,
    copies: str | None,
    commands: bool,
    as_json: bool,
    svg: str | None,
    html: str | None,
) -> None:
    """Show the stages that a packet passes from the wire to the application, as they are configured on IFACE now.

    At each stage: what is configured, what it reads and writes, what was lost there, the copies it makes, and the
    engines of Wirepath that branch off. FILE may be - for standard output.
    """
    measured = measured_copies(copies) if copies is not None else ()
    reader = PathReader(name_of(interface, netns), engine=engine, netns=netns, copies=measured)
    if svg is not None or html is not None:
        _draw(reader.read(), svg, html)
    elif watch:
        _watch(reader, interval, as_json, commands)
    elif as_json:
        click.echo(json.dumps(reader.read().as_object(), indent=2))
    else:
        click.echo("\n".join(lines(reader.read(), width=_width(), commands=commands)))


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size((100, 0)).columns)


def _watch(reader: PathReader, interval: float, as_json: bool, commands: bool) -> None:
    first = last = reader.read()
    ended = False
    with Patience() as patience:
        while True:
            if as_json:
                click.echo(json.dumps(last.as_object()))
            else:
                if sys.stdout.isatty():
                    click.clear()
                click.echo("\n".join(lines(last, first, width=_width(), commands=commands)))
            sys.stdout.flush()
            if ended:
                return
            ended = patience.wait(interval)
            last = reader.read()


def _draw(path: Path, svg: str | None, html: str | None) -> None:
    from wirepath.path.picture import as_html, as_svg

    for file, text in ((svg, as_svg(path) if svg else ""), (html, as_html(path) if html else "")):
        if file == "-":
            click.echo(text, nl=False)
        elif file is not None:
            File(file).write_text(text, encoding="utf-8")
