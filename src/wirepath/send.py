# SPDX-License-Identifier: Apache-2.0
"""Sending frames on an interface."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from wirepath import _core
from wirepath._core import Batch
from wirepath.engines import engines
from wirepath.errors import UnsupportedError, error
from wirepath.info import Granted

__all__ = ["SendStats", "Sender", "open_sender"]


@dataclass(frozen=True)
class SendStats:
    """A sender's counters (``native/core/send_stats.def``), cumulative since it was opened. None: cannot know."""

    queued: int
    """Frames that the kernel or the device took."""
    queued_bytes: int
    """Bytes of those, with VLAN tags and without FCS."""
    completed: int | None
    """Of the frames queued, those that the kernel or the device is known to be done with."""
    errors: int
    """Frames that were refused or lost for good, those that are too big included."""
    too_big: int
    """Frames longer than the interface's MTU allows."""
    retries: int
    """Times that a frame found no room in a queue of the kernel and was offered again."""
    waits: int
    """Times that the sending thread waited for room."""
    copied: int
    """Frames whose bytes Wirepath itself copied."""
    copied_bytes: int


@dataclass(frozen=True)
class SenderInfo:
    """What a sender sends on, and what it was granted."""

    engine: str
    mode: str
    granted: tuple[Granted, ...]
    interface: str
    ifindex: int
    linktype: int
    """The LINKTYPE_ number of what frames must begin with."""
    mtu: int
    speed_bps: int
    """0: unknown."""
    mac: bytes
    """Empty: it has none."""
    notes: tuple[str, ...]


def open_sender(
    interface: str, engine: str | None = None, *, netns: str | None = None, **options: str | int | bool
) -> "Sender":
    """Open an interface to send frames on it, as they are.

    Args:
        interface: its name.
        engine: None chooses the first usable one that can send and does not take packets from the host.
        netns: the network namespace of the interface: a name (ip-netns(8)), a path or a process id.
        options: the engine's own for sending (``wirepath engines`` lists them).

    Raises:
        NotFoundError: no such interface.
        NoPermissionError: the hint says what is needed.
        InterfaceGoneError: it is down.
        OptionError, UnsupportedError: as their names say.
    """
    words = {
        name: ("on" if value else "off") if isinstance(value, bool) else str(value) for name, value in options.items()
    }
    return Sender(_core.Sender(engine or _first_that_sends(), interface, words, netns or ""))


def _first_that_sends() -> str:
    able = [engine for engine in engines() if engine.sends and not engine.takes_packets]
    for engine in able:
        if engine.usable:
            return engine.name
    raise error(UnsupportedError, "no engine can send here", "; ".join(f"{e.name}: {e.reason}" for e in able))


class Sender:
    """An open sender; use it in a ``with`` statement. One thread at a time sends, any may interrupt."""

    def __init__(self, core: _core.Sender) -> None:
        self._core = core

    def send(self, frames: Batch | Iterable[bytes], timeout: float | None = None) -> int:
        """Hand frames to the kernel in order; how many it was through with, queued or counted as errors.

        Fewer than there are: `timeout` seconds were over (None: wait for room), or interrupt() was called.
        A batch's VLAN tags in metadata are put back into the bytes.

        Raises:
            InterfaceGoneError: the interface went down or vanished.
        """
        if not isinstance(frames, Batch):
            frames = _core.batch_of_frames(list(frames), time.time_ns(), self.info.linktype)
        return self._core.send(frames, 0, -1.0 if timeout is None else timeout)[1]

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until all that was queued is completed, as far as the engine can know; False: it is not yet."""
        return self._core.drain(-1.0 if timeout is None else timeout)

    def interrupt(self) -> None:
        """End a send() or drain() under way, or the next one. From any thread or signal handler."""
        self._core.interrupt()

    def stats(self) -> SendStats:
        """The counters now; after close(), as they were then."""
        return SendStats(**self._core.stats())

    @property
    def info(self) -> SenderInfo:
        """What it sends on, and what the kernel granted."""
        info = self._core.info()
        granted = tuple(Granted(*row) for row in info.pop("granted"))
        return SenderInfo(granted=granted, notes=tuple(info.pop("notes")), **info)

    def close(self) -> None:
        """Leave the interface. Closing twice does nothing."""
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._core.closed

    def __enter__(self) -> Self:
        """The sender itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
