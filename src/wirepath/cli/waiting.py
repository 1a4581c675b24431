# SPDX-License-Identifier: Apache-2.0
"""Commands that go on until the user has had enough."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Patience"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
