# SPDX-License-Identifier: Apache-2.0
"""The engines that this build of Wirepath knows, and whether each can run here."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from wirepath import _core

__all__ = ["Engine", "Option", "engines"]


@dataclass(frozen=True)
class Option:
    """One option of an engine, as the engine describes it."""

    name: str
    kind: Literal["boolean", "integer", "text"]
    unit: str
    """``bytes``, ``ms``, …; empty where none applies."""
    default: str
    choices: tuple[str, ...]
    """Empty: any value of its kind."""
    help: str


@dataclass(frozen=True)
class Engine:
    """One way for packets to reach a program."""

    name: str
    summary: str
    target: Literal["interface", "file"]
    """What it is opened on."""
    takes_packets: bool
    """What it captures does not reach this host's network stack."""
    built: bool
    options: tuple[Option, ...]
    sends: bool
    """Whether it can also send."""
    send_options: tuple[Option, ...]
    """Its options for sending."""

    @cached_property
    def _probe(self) -> tuple[bool, str]:
        return _core.probe(self.name)

    @property
    def usable(self) -> bool:
        """Whether it can run here, now, for this user (asked of the kernel once an object)."""
        return self._probe[0]

    @property
    def reason(self) -> str:
        """Why it is not usable and what would help; empty if it is."""
        return self._probe[1]


def engines() -> list[Engine]:
    """Every engine of this version, the preferred one for interfaces first; built or not, usable or not."""
    return [
        Engine(
            name=row["name"],
            summary=row["summary"],
            target=row["target"],
            takes_packets=row["takes_packets"],
            built=row["built"],
            options=tuple(_option(option) for option in row["options"]),
            sends=row["sends"],
            send_options=tuple(_option(option) for option in row["send_options"]),
        )
        for row in _core.engines()
    ]


def _option(option: dict[str, Any]) -> Option:
    return Option(
        name=option["name"],
        kind=option["kind"],
        unit=option["unit"],
        default=option["default"],
        choices=tuple(option["choices"]),
        help=option["help"],
    )
