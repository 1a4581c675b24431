# SPDX-License-Identifier: Apache-2.0
"""What can go wrong: one class a line of ``native/core/codes.def``, each also the built-in class that fits.

Every error has ``doing`` (what was being done), ``errno`` (or None) and ``hint`` (the remedy, or an empty string).
"""

from typing import TypeVar

from wirepath._core import (
    BusyError,
    ClosedError,
    FileFormatError,
    FilterError,
    InterfaceGoneError,
    NoBufferError,
    NoPermissionError,
    NoSpaceError,
    NotFoundError,
    OptionError,
    RefusedError,
    SystemCallError,
    UnsupportedError,
    WirepathError,
)
from wirepath.printable import printable

__all__ = [
    "BusyError",
    "ClosedError",
    "FileFormatError",
    "FilterError",
    "InterfaceGoneError",
    "NoBufferError",
    "NoPermissionError",
    "NoSpaceError",
    "NotFoundError",
    "OptionError",
    "RefusedError",
    "SystemCallError",
    "UnsupportedError",
    "WirepathError",
    "error",
]

_E = TypeVar("_E", bound=WirepathError)


def error(kind: type[_E], doing: str, hint: str = "") -> _E:
    """Make an error of the control plane, with the same attributes as the core's own."""
    made = kind(printable(f"{doing}. {hint}" if hint else doing))
    made.doing, made.errno, made.hint = doing, None, hint
    return made
