# SPDX-License-Identifier: Apache-2.0
"""Commands that go on until the user has had enough."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import click

__all__ = ["Patience", "Seconds"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_S = 1e9


class Seconds(click.FloatRange):
    """A time that one can wait for: a number, and not endless."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        seconds = float(super().convert(value, param, ctx))
        if not seconds <= _LONGEST_S:
            self.fail(f"{value} is not a number of seconds that anybody waits for", param, ctx)
        return seconds


class Patience:
    """While it is entered, SIGINT, SIGTERM and SIGHUP end the wait instead of the program."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._before: dict[int, Any] = {}

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Whether the user has had enough, at the latest after so long."""
        return self._ended.wait(seconds)

    def __enter__(self) -> Self:
        for number in _ENDING:
            before = signal.getsignal(number)
            if not (number == signal.SIGHUP and before == signal.SIG_IGN):  # nohup
                self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
