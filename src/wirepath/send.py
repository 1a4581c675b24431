# SPDX-License-Identifier: Apache-2.0
"""Sending frames on an interface."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from wirepath import _core
from wirepath._core import Batch
from wirepath.engines import engines
from wirepath.errors import OptionError, UnsupportedError, error
from wirepath.flow import Flow
from wirepath.info import Granted
from wirepath.linux.neighbour import mac_towards
from wirepath.linux.netns import inside

__all__ = ["SendStats", "Sender", "SenderInfo", "Sent", "open_sender", "send"]


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
    interface: str,
    engine: str | None = None,
    *,
    netns: str | None = None,
    force: bool = False,
    **options: str | int | bool,
) -> "Sender":
    """Open an interface to send frames on it, as they are.

    Args:
        interface: its name.
        engine: None chooses the first usable one that can send and does not take packets from the host.
        netns: the network namespace of the interface: a name (ip-netns(8)), a path or a process id.
        force: send even where the default route of the host leaves.
        options: the engine's own for sending (``wirepath engines`` lists them).

    Raises:
        RefusedError: the interface carries the default route, and `force` was not given.
        NotFoundError: no such interface.
        NoPermissionError: the hint says what is needed.
        InterfaceGoneError: it is down.
        OptionError, UnsupportedError: as their names say.
    """
    words = {
        name: ("on" if value else "off") if isinstance(value, bool) else str(value) for name, value in options.items()
    }
    return Sender(_core.Sender(engine or _first_that_sends(), interface, words, netns or "", force))


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


@dataclass(frozen=True)
class Sent:
    """How a run of :func:`send` ended, and what it did."""

    end: str
    """``end_of_file``: all there was; ``packets``, ``duration`` or ``interrupted``."""
    packets: int
    """Frames that the sender was through with: queued, or counted as errors."""
    bytes: int
    """Of those, with VLAN tags and without FCS."""
    cut: int
    """Of those, frames that were cut when they were recorded, and were sent so."""
    passes: int
    """Times that everything was sent to its end."""
    seconds: float
    """From the first frame to the last."""
    asked_seconds: float | None
    """What that was to be by the pacing; None: none was asked for."""
    latest_ns: int
    """How late, by the pacing, the latest frame was in ns."""
    cpu_ns: int
    """CPU time of the sending thread in ns, user and system (CLOCK_THREAD_CPUTIME_ID)."""
    stats: SendStats

    @property
    def pps(self) -> float | None:
        """Frames a second: the gaps between them over the time; None: too few to say."""
        return self._gaps / self.seconds if self._gaps and self.seconds else None

    @property
    def asked_pps(self) -> float | None:
        """The same, as the pacing asked for; None: it asked for none."""
        return self._gaps / self.asked_seconds if self._gaps and self.asked_seconds else None

    @property
    def bps(self) -> float | None:
        """Bits a second of frames without FCS, preamble and gap."""
        return self.pps * 8 * self.bytes / self.packets if self.pps else None

    @property
    def _gaps(self) -> int:
        return max(0, self.packets - 1)


def send(
    what: str | os.PathLike[str] | Flow,
    interface: str | Sender,
    engine: str | None = None,
    *,
    pps: float | None = None,
    bps: float | None = None,
    speed: float | None = None,
    top: bool = False,
    passes: int | None = None,
    count: int | None = None,
    seconds: float | None = None,
    filter: str = "",  # noqa: A002 (the field's own word)
    sizes: Iterable[int] = (60,),
    source_mac: bytes | None = None,
    target_mac: bytes | None = None,
    netns: str | None = None,
    force: bool = False,
    cpu: int | None = None,
    progress: Callable[["_core.Sending"], bool | None] | None = None,
    **options: str | int | bool,
) -> Sent:
    """Send a capture file, or traffic that is made, and wait for its end. A thread without Python does it.

    Args:
        what: a file's path (``-``: standard input), or a flow, which :func:`wirepath.flow.parse_flow` also reads.
        interface: its name, or an open sender, which stays open.
        engine: as for :func:`open_sender`.
        pps: frames a second.
        bps: bits a second, of frames without FCS.
        speed: so many times as fast as recorded. Without these three and `top`: 1, and made traffic as `top`.
        top: as fast as it goes.
        passes: how often to send everything; 0: until something else ends it. None: once, and made traffic, if
            `count` or `seconds` say when it ends, until then.
        count: end after so many frames.
        seconds: end after so long.
        filter: of a file only the packets that match this pcap-filter(7) expression.
        sizes: bytes of the frames that are made, without FCS.
        source_mac: of the frames that are made; None: the interface's own.
        target_mac: None: that of the flow's first target, or of the gateway to it, which the kernel is asked for.
        netns: the network namespace of the interface.
        force: send even where the default route of the host leaves.
        cpu: where the sending thread runs; None: where the scheduler wants.
        progress: called about ten times a second with the run so far; returning True ends it.
        options: the engine's own for sending.

    Raises:
        NotFoundError: no such file or interface, or nobody knows the target's Ethernet address.
        OptionError: a rate of nothing, or two of them.
        InterfaceGoneError: the interface went down or vanished.
        UnsupportedError: the file's packets are of another kind than the interface's.
        KeyboardInterrupt: or what else a signal handler raises; what was queued goes out.
    """
    pace, value = _pace(pps, bps, speed, top=top, recorded=not isinstance(what, Flow))
    if passes is None:
        passes = 0 if isinstance(what, Flow) and (count is not None or seconds is not None) else 1
    if min(passes, count or 0, seconds or 0) < 0:
        raise error(OptionError, "sending less than nothing", "passes, count and seconds are 0 or more")
    sender = (
        interface
        if isinstance(interface, Sender)
        else open_sender(interface, engine, netns=netns, force=force, **options)
    )
    try:
        if isinstance(what, Flow):
            macs = _macs(what, sender.info, source_mac, target_mac, netns)
            supply: _core.Supply = _core.Flow(what.as_core(*macs, tuple(sizes)))
        else:
            supply = _core.Recording(os.fspath(what), filter, passes != 1)
        place = -1 if cpu is None else cpu
        run = _core.Sending(supply, sender._core, pace, value, count, seconds, passes, place)  # noqa: SLF001
        return _run(run, sender, pace, progress)
    finally:
        if sender is not interface:
            sender.close()


def _pace(pps: float | None, bps: float | None, speed: float | None, *, top: bool, recorded: bool) -> tuple[str, float]:
    asked = [(name, value) for name, value in (("pps", pps), ("bps", bps), ("recorded", speed)) if value is not None]
    if len(asked) + top > 1:
        raise error(OptionError, "sending at two rates at once", "Give one of pps, bps, speed and top")
    if asked and not asked[0][1] > 0:
        raise error(OptionError, f"a rate cannot be {asked[0][1]:g}", "It is a number above 0")
    if speed is not None and not recorded:
        raise error(OptionError, "traffic that is made has no recorded speed", "Give pps or bps")
    return asked[0] if asked else ("top", 0.0) if top or not recorded else ("recorded", 1.0)


def _macs(
    flow: Flow, info: SenderInfo, source: bytes | None, target: bytes | None, netns: str | None
) -> tuple[bytes, bytes]:
    if info.linktype != 1:
        raise error(UnsupportedError, f"traffic is made for Ethernet, and {info.interface} is none")
    if target is None:
        with inside(netns):
            target = mac_towards(flow.target, info.ifindex, info.interface)
    return source or info.mac or bytes(6), target


def _run(
    sending: _core.Sending, sender: Sender, pace: str, progress: Callable[["_core.Sending"], bool | None] | None
) -> Sent:
    sending.start()
    try:
        while not sending.wait(0.1):
            if progress is not None and progress(sending):
                sending.interrupt()
    finally:
        sending.finish()
    return Sent(
        end=sending.end,
        packets=sending.packets,
        bytes=sending.bytes,
        cut=sending.cut,
        passes=sending.passes,
        seconds=sending.elapsed_ns / 1e9,
        asked_seconds=None if pace == "top" else sending.asked_ns / 1e9,
        latest_ns=sending.latest_ns,
        cpu_ns=sending.cpu_ns,
        stats=sender.stats(),
    )
