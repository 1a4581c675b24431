# SPDX-License-Identifier: Apache-2.0
"""Opening interfaces and files, and receiving from them."""

import os
import select
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from wirepath import _core
from wirepath._core import Batch, Packet
from wirepath.engines import engines
from wirepath.errors import NotFoundError, OptionError, UnsupportedError, error
from wirepath.info import Frames, Interface, Observed, Process, SourceInfo
from wirepath.stats import Stats

if TYPE_CHECKING:
    import asyncio

__all__ = ["Capture", "open"]

Target = str | os.PathLike[str]
_most_snaplen = 262144


def open(  # noqa: A001 (wp.open, as in gzip.open)
    target: Target | Sequence[Target],
    engine: str | None = None,
    *,
    filter: str = "",  # noqa: A002 (the field's own word)
    snaplen: int = 262144,
    promisc: bool = True,
    netns: str | None = None,
    take: bool = False,
    **options: str | int | bool,
) -> "Capture":
    """Open an interface, a capture file or several of one kind, and start receiving.

    Args:
        target: an interface's name, ``any``, a file's path, or ``-`` for standard input. Where a name is both, it is
            the interface: write ``./eth0`` for the file.
        engine: None chooses the best usable one that leaves the packets to the host; ``capture.engine`` says which.
        filter: a pcap-filter(7) expression; empty: every packet.
        snaplen: bytes of each packet that are kept, 262144 at most; 0: as many.
        promisc: receive what is for other hosts, too.
        netns: the network namespace of the interface: a name (ip-netns(8)), a path or a process id.
        take: let an engine that takes packets from the host do so on the interface of the default route.
        options: the engine's own (``wirepath engines`` lists them). One that it does not have is an error.

    Raises:
        NotFoundError: no such interface or file.
        NoPermissionError: the hint says what is needed.
        OptionError, FilterError, UnsupportedError, BusyError, RefusedError, FileFormatError: as their names say.
    """
    targets = [target] if isinstance(target, str | os.PathLike) else list(target)
    if not targets or not all(os.fspath(one) for one in targets):
        raise error(OptionError, "opening nothing", "Name an interface or a file")
    if not 0 <= snaplen <= _most_snaplen:
        raise error(OptionError, f"snaplen cannot be {snaplen}", f"It is 1 to {_most_snaplen} bytes; 0: all of them")
    core = _core.Capture(netns or "")
    snaplen = snaplen or _most_snaplen
    words = {name: _word(value) for name, value in options.items()}
    for one in targets:
        _add(
            core,
            os.fspath(one),
            engine,
            filter,
            snaplen or _most_snaplen,
            promisc,
            words,
            take,
            in_netns=netns is not None,
        )
    core.start()
    return Capture(core)


def _word(value: str | int | bool) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _add(
    core: _core.Capture,
    target: str,
    engine: str | None,
    filter_: str,
    snaplen: int,
    promisc: bool,
    options: dict[str, str],
    take: bool,
    in_netns: bool,
) -> None:
    names = [engine] if engine is not None else _candidates(target, in_netns)
    for name in names:
        try:
            core.add(name, target, filter_, snaplen, promisc, options, take)
        except UnsupportedError:
            if name == names[-1]:
                raise
        else:
            return


def _candidates(target: str, in_netns: bool) -> list[str]:
    """The engines to try, best first."""
    is_file = _is_file(target, in_netns)
    fitting = [e for e in engines() if e.target == ("file" if is_file else "interface") and not e.takes_packets]
    usable = [e.name for e in fitting if e.usable]
    # Where none can run, the first one's own error says best why: what it may not do, and what would help.
    candidates = usable or [e.name for e in fitting if e.built][:1]
    if not candidates:
        raise error(UnsupportedError, f"no engine can open {target} here", "; ".join(e.reason for e in fitting))
    return candidates


def _is_file(target: str, in_netns: bool) -> bool:
    if target == "-" or "/" in target:
        return True
    if target == "any" or in_netns:
        return False
    if target in (name for _, name in socket.if_nameindex()):
        return False
    if Path(target).exists():
        return True
    raise error(
        NotFoundError,
        f"'{target}' is neither an interface of this host nor a file",
        "`wirepath capture -D` and `ip link` list the interfaces",
    )


class Capture:
    """An open capture: iterate over it for batches, or use it in a ``with`` statement.

    One thread at a time receives; any thread may call :meth:`interrupt`, :meth:`stats` and :meth:`set_filter`.
    """

    def __init__(self, core: _core.Capture) -> None:
        self._core = core
        self._epoll: select.epoll | None = None
        self._nic_drops_before = self._nic_drops()

    def receive(self, timeout: float | None = None) -> Batch | None:
        """The next batch, or None if none came in `timeout` seconds (None: wait), at the end, or after interrupt().

        Raises:
            InterfaceGoneError: the interface went down or vanished.
            NoBufferError: views of earlier batches hold all the memory that there is.
            FileFormatError: the file is damaged here; what stood before it was delivered.
        """
        return self._core.receive(-1.0 if timeout is None else timeout)[1]

    def __iter__(self) -> Iterator[Batch]:
        """Batches until the end of the file, or interrupt()."""
        while True:
            _, batch = self._core.receive(-1.0)
            if batch is None:
                return
            yield batch

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Batches, without blocking the event loop."""
        while True:
            if self.fileno() < 0:
                import asyncio  # dear, and not needed by who does not wait

                status, batch = await asyncio.to_thread(self._core.receive, -1.0)
            else:
                status, batch = self._core.receive(0.0)
            if batch is not None:
                yield batch
            elif status == "timeout":
                await self._readable()
            else:
                return

    async def _readable(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        fd = self.fileno()
        loop.add_reader(fd, _resolve, ready)
        try:
            await asyncio.wait([ready], timeout=0.2)  # interrupt() and a closed capture are seen after this long
        finally:
            loop.remove_reader(fd)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The capture as a table (the Arrow PyCapsule interface): ``polars.DataFrame(wp.open("trace.pcapng"))``.

        Columns: ``ts`` (timestamp[ns, UTC]), ``caplen``, ``origlen``, ``interface``, ``queue``, ``vlan_tci``,
        ``vlan_tpid``, ``flags`` and ``data`` (binary, copied). It is received as it is asked for, to its end.
        """
        return self._core.arrow_stream()

    def packets(self) -> Iterator[Packet]:
        """One packet at a time: for ease, not for speed."""
        for batch in self:
            yield from batch

    def set_filter(self, text: str) -> None:
        """Change the filter while running; from when this returns, each packet delivered matches the new one.

        Raises:
            FilterError: the old one stays in force.
        """
        self._core.set_filter(text)

    def stats(self) -> Stats:
        """The counters now; after close(), as they were then."""
        counters = self._core.stats()
        if counters["dropped_nic"] is None:
            counters["dropped_nic"] = self._new_nic_drops()
        return Stats(**counters)

    def frames(self) -> list[Frames | None]:
        """Of each source (`sources`) that shares frames with the kernel where they are; None of the others.

        Waits for a receive() under way, and for :func:`wirepath.run`.
        """
        return [None if frames is None else Frames(*frames) for frames in self._core.frames()]

    def interrupt(self) -> None:
        """End a receive() under way, or the next one. From any thread or signal handler."""
        self._core.interrupt()

    def close(self) -> None:
        """Leave the interface; views of payload stay valid. Closing twice does nothing."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._core.closed

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to receive, for select() and the like; -1: none."""
        fds = [source.fd for source in self.sources]
        if len(fds) == 1 or -1 in fds:
            return fds[0] if len(fds) == 1 else -1
        if self._epoll is None:
            self._epoll = select.epoll()
            for fd in fds:
                self._epoll.register(fd, select.EPOLLIN)
        return self._epoll.fileno()

    @property
    def sources(self) -> list[SourceInfo]:
        """Each receive queue or worker, and what the kernel granted it."""
        return [SourceInfo.from_core(source) for source in self._core.sources()]

    @property
    def observed(self) -> list[Observed]:
        """What was measured of the capture's own effect until now, or until it was closed; most engines say nothing."""
        return [Observed(*row) for row in self._core.observed()]

    @property
    def processes(self) -> dict[int, Process] | None:
        """Those that are known to have made sockets, by process id, as in ``batch.pid``; None: none was asked for.

        Engine `ebpf` with ``process=True``. Not only those whose packets were captured; also after close().
        """
        rows = self._core.processes()
        return None if rows is None else Process.from_core(rows)

    @property
    def interfaces(self) -> list[Interface]:
        """Where packets came from so far; a file may add one while it is read."""
        return [Interface(**interface) for interface in self._core.interfaces()]

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.sources[0].engine

    @property
    def mode(self) -> str:
        """What the kernel granted, in a few words."""
        return self.sources[0].mode

    @property
    def filter(self) -> str:
        """The expression in force; empty: every packet."""
        return self._core.filter

    @property
    def filtered_by(self) -> str:
        """Where the filter runs: ``none``, ``nic``, ``xdp``, ``kernel`` or ``pipeline``."""
        return self.sources[0].filtered_by

    def _nic_drops(self) -> dict[str, int]:
        """What the NICs say they missed, by interface; without those of another namespace or a file."""
        drops = {}
        for interface in self.interfaces:
            counters = Path("/sys/class/net", interface.name, "statistics")
            if interface.ifindex == 0 or _ifindex(interface.name) != interface.ifindex:
                continue
            drops[interface.name] = sum(
                int((counters / name).read_text()) for name in ("rx_missed_errors", "rx_fifo_errors")
            )
        return drops

    def _new_nic_drops(self) -> int | None:
        now, before = self._nic_drops(), self._nic_drops_before
        if not now or now.keys() != before.keys():
            return None
        return sum(now.values()) - sum(before.values())

    def __enter__(self) -> Self:
        """The capture itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _ifindex(name: str) -> int:
    try:
        return int(Path("/sys/class/net", name, "ifindex").read_text())
    except OSError:
        return 0
