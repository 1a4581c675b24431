# SPDX-License-Identifier: Apache-2.0
"""``wirepath engines``."""

import json
from collections.abc import Sequence
from typing import Any

import click

from wirepath.engines import Engine, Option, engines

__all__ = ["CommandWithEngines", "command", "option_rows"]


class CommandWithEngines(click.Command):
    """Its help ends with the options of every engine, as the engines describe them."""

    target = "interface"

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them."""
        for engine in engines():
            if engine.target == self.target and engine.options:
                with formatter.section(f"Options of the engine {engine.name} (-o NAME=VALUE)"):
                    formatter.write_dl(option_rows(engine))


@click.command(short_help="List the ways to capture, and whether each can run here.")
@click.argument("names", nargs=-1, metavar="[ENGINE]...")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for machines (docs/json.md).")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the ENGINEs: whether each can run here, or why not.

    Named ones are listed with their options, which `capture -o` and `read -o` take, and those that `send -o` takes.
    """
    known = engines()
    unknown = set(names) - {engine.name for engine in known}
    if unknown:
        raise click.UsageError(
            f"there is no engine {min(unknown)}. There are: {', '.join(engine.name for engine in known)}"
        )
    chosen = [engine for engine in known if not names or engine.name in names]
    if as_json:
        click.echo(json.dumps([as_object(engine) for engine in chosen], indent=2))
    elif names:
        for engine in chosen:
            _show(engine)
    else:
        _list(chosen)


def as_object(engine: Engine) -> dict[str, Any]:
    """As `engines --json` says it."""
    return {
        "v": 1,
        "name": engine.name,
        "usable": engine.usable,
        "reason": engine.reason,
        "takes_packets": engine.takes_packets,
        "target": engine.target,
        "summary": engine.summary,
        "options": [_option(option) for option in engine.options],
        "sends": engine.sends,
        "send_options": [_option(option) for option in engine.send_options],
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "kind": option.kind,
        "unit": option.unit,
        "default": option.default,
        "choices": list(option.choices),
        "help": option.help,
    }


def option_rows(engine: Engine, options: Sequence[Option] | None = None) -> list[tuple[str, str]]:
    """(name=default, what it does) of each option; None: of those for capturing."""
    described = engine.options if options is None else options
    return [(f"{option.name}={option.default}", _explain(option)) for option in described]


def _explain(option: Option) -> str:
    if option.choices:
        return f"{option.help} ({', '.join(option.choices)})"
    if option.unit and option.unit not in option.help.split():
        return f"{option.help} ({option.unit})"
    return option.help


def _list(chosen: list[Engine]) -> None:
    width = max(len(engine.name) for engine in chosen)
    for engine in chosen:
        state = "usable" if engine.usable else "no"
        click.echo(f"{engine.name:<{width}}  {state:<6}  {engine.summary}")
        margin = " " * (width + 10)
        if not engine.usable:
            click.echo(f"{margin}{engine.reason}")
        if engine.takes_packets:
            click.echo(f"{margin}What it captures does not reach this host's network stack.")


def _show(engine: Engine) -> None:
    _list([engine])
    formatter = click.HelpFormatter(width=100)
    with formatter.indentation():
        formatter.write_dl(option_rows(engine))
    click.echo(formatter.getvalue() if engine.options else "  It has no options.")
    if engine.sends and engine.send_options:
        formatter = click.HelpFormatter(width=100)
        with formatter.section("  For sending"):
            formatter.write_dl(option_rows(engine, engine.send_options))
        click.echo(formatter.getvalue())
