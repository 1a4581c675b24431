# SPDX-License-Identifier: Apache-2.0
"""The group of all commands, and how each of them ends."""

import contextlib
import errno
import os
import signal
import sys
from importlib import import_module, metadata
from typing import Any

import click

from wirepath.cli.commands import COMMANDS
from wirepath.errors import FilterError, OptionError, WirepathError

__all__ = ["EXIT_DROPPED", "EXIT_ERROR", "EXIT_USAGE", "Group", "main", "wirepath"]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_DROPPED = 3

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Group(click.Group):
    """Knows its commands' names and summaries, and imports one when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order of the list, which is that of use."""
        return [row.name for row in COMMANDS]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        for row in COMMANDS:
            if row.name == cmd_name:
                command: click.Command = import_module(row.module).command
                return command
        return None

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.summary) for row in COMMANDS])


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        try:
            version = metadata.version("wirepath")
        except metadata.PackageNotFoundError:
            version = "(run from its sources, not installed)"
        click.echo(f"wirepath {version}")
        ctx.exit()


@click.group(name="wirepath", cls=Group, context_settings=CONTEXT)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def wirepath() -> None:
    """Every path that a packet can take from a Linux network card to your program.

    Exit status: 0 also after Ctrl-C and SIGTERM; 1 for errors; 2 for mistakes on the command line; 3 with
    --fail-on-drop if packets were lost.
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit."""
    _end_in_order()
    try:
        status = run(args)
    except BrokenPipeError:
        status = 0
    _close_output()
    sys.exit(status)


def _end_in_order() -> None:
    """SIGTERM and SIGHUP end a command as Ctrl-C does: what it has changed is put back. Some have ways of their own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # not so under nohup
            signal.signal(number, signal.default_int_handler)


def run(args: list[str] | None) -> int:
    """Run the command line; the exit status.

    Raises:
        BrokenPipeError: who read our output has gone.
    """
    try:
        result: Any = wirepath.main(args, prog_name="wirepath", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 0
    except WirepathError as error:
        if error.errno == errno.EPIPE:
            raise BrokenPipeError from error
        click.echo(f"wirepath: {error}", err=True)
        return EXIT_USAGE if isinstance(error, OptionError | FilterError) else EXIT_ERROR
    except BrokenPipeError:
        raise
    except SystemExit as ended:
        raise BrokenPipeError from ended  # what click makes of one; commands themselves return their status
    except OSError as error:
        click.echo(f"wirepath: {error.filename or 'system call'}: {error.strerror or error}", err=True)
        return EXIT_ERROR
    return result if isinstance(result, int) else 0


def _close_output() -> None:
    """So that the interpreter has nothing left to flush into a pipe that nobody reads."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
