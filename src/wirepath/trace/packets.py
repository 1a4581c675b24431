# SPDX-License-Identifier: Apache-2.0
"""Follow packets through the kernel of the running host: `follow` gives them one by one, each with its events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from wirepath import _core
from wirepath.errors import OptionError, error
from wirepath.trace.namespaces import NamespaceNames

__all__ = ["Context", "Counts", "End", "Event", "Hook", "Trace", "TracedPacket", "follow", "follow_one"]

Context = Literal["process", "softirq", "hardirq"]

# native/trace/packets/event.h
FIRST, ENDED, DROPPED, COPIED, UNKNOWN_CONTEXT, SOFTIRQ, HARDIRQ, GSO, INFERRED = (1 << bit for bit in range(9))

LONGEST_SNAPLEN = 256
XDP = "XDP program"  # hooks.def
XDP_DROPS = {0: "XDP_ABORTED", 1: "XDP_DROP"}
RECEIVING = frozenset({"skb_copy_datagram_iovec", "sock_recv_length", "skb_consume_udp"})

_QUIET_S = 1.0  # a packet of which nothing was heard for so long is shown as it is
_LOOK_S = 0.05


class Hook(NamedTuple):
    """A place in the kernel where packets can be seen."""

    function: str
    """The function's or the tracepoint's name."""
    kind: str
    """``tracepoint``, ``function``, ``copy`` or ``mark`` (seen by a program at another hook)."""
    group: str
    """What ``probes`` takes: driver, tap, ip, …"""
    stage: str
    """What happens there, in words; empty: a function that is in no list of ours."""
    reason: str
    """Why it is not in use; empty: it is."""


@dataclass(frozen=True)
class Event:
    """A packet at a hook."""

    ts: int
    """ns since 1970-01-01T00:00:00Z."""
    since_first_ns: int
    hook: Hook
    cpu: int
    context: Context | None
    """Whose time it was. None: this kernel does not say."""
    process: str
    """Who ran on that CPU. Only with the context ``process`` it is surely the one that did this."""
    pid: int
    tid: int
    netns: int | None
    """The network namespace's inode number; None: not known."""
    netns_name: str
    """As ip-netns(8) has it, else its number; empty: this process's own, or not known."""
    interface: str
    """Empty: the packet has none there, as in a socket's queue."""
    ifindex: int
    skb: int
    """Which of the packet's skbs, from 1: a clone or a copy is another one. 0: XDP, there is none yet."""
    address: int
    """Of that skb."""
    length: int
    """Of the skb at that moment, in bytes: headers come and go."""
    detail: int
    """What the hook says of it: a number of bytes, a return code, an action, a drop reason."""
    inferred: bool
    """From what else was seen: the kernel does not say it of this packet."""
    ended: bool
    """This skb is gone after it."""
    dropped: bool
    reason: str
    """Of a drop, as the kernel calls it."""
    place: str
    """Of a drop: the function that did it; empty: the kernel does not tell."""
    holders: int
    """At an end: how many other skbs hold the same bytes."""


@dataclass(frozen=True)
class End:
    """What became of one of a packet's skbs."""

    kind: Literal["received", "dropped", "merged", "done", "unseen"]
    """``done``: freed when nobody needed it any more. ``unseen``: its end was not seen."""
    skb: int
    event: Event
    """The one that says so; of ``unseen``: the last that was seen."""


@dataclass(frozen=True)
class TracedPacket:
    """A packet, and where it was seen."""

    number: int
    """Counted from 1 as they matched."""
    ts: int
    """Of the first event, in ns since 1970-01-01T00:00:00Z."""
    data: bytes
    """Its first bytes at first sight. Empty: that event was lost."""
    linktype: int
    """Of the data: 1 (EN10MB), or 101 (RAW) if there was no MAC header yet."""
    origlen: int
    vlan_tci: int
    vlan_tpid: int
    """Of the tag that was held beside the bytes; 0: none."""
    events: tuple[Event, ...]
    ends: tuple[End, ...]
    """One a skb."""

    @property
    def line(self) -> str:
        """The packet in one line, in tcpdump's manner."""
        if not self.data:
            return "(its first event was lost, and its bytes with it)"
        return _core.packet_line(
            self.data,
            linktype=self.linktype,
            origlen=self.origlen,
            ts=self.ts,
            vlan_tci=self.vlan_tci,
            vlan_tpid=self.vlan_tpid,
        )


class Counts(NamedTuple):
    """What happened to events on their way. Cumulative."""

    packets: int
    """That matched."""
    lost: int
    """Events for which the ring had no room: the reader was too slow."""
    missed: int
    """Hooks that were passed while another of our programs held the CPU: the kernel does not nest some of them."""


def follow(
    filter: str = "",  # noqa: A002 (the word that the rest of the package uses)
    *,
    count: int = 0,
    seconds: float | None = None,
    probes: Sequence[str] = (),
    all_functions: bool = False,
    snaplen: int = 128,
    ring_bytes: int = 8 << 20,
) -> Trace:
    """Follow the packets that match, from now on.

    Args:
        filter: a pcap expression, which the kernel applies; empty: every packet.
        count: so many packets; 0: without end.
        seconds: so long; None: without end.
        probes: hooks and groups of hooks, by name; empty: all that are listed.
        all_functions: beyond those, every function of the kernel that takes an skb, where kprobe_multi is allowed.
        snaplen: bytes that are kept of each packet, up to 256.
        ring_bytes: of the ring through which events come, rounded up to a power of two.

    Raises:
        FilterError: the expression is wrong.
        OptionError: of a probe that there is not, or a number out of range.
        NoPermissionError: it needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN.
        UnsupportedError: the kernel has no BPF or no type information.
    """
    if not 14 <= snaplen <= LONGEST_SNAPLEN:
        raise error(OptionError, f"snaplen {snaplen}", f"It is 14 to {LONGEST_SNAPLEN} bytes")
    if not 1 << 12 <= ring_bytes <= 1 << 30:
        raise error(OptionError, f"a ring of {ring_bytes} bytes", "It is 4 KiB to 1 GiB")
    tracer = _core.PacketTracer(
        filter,
        snaplen=snaplen,
        limit=count,
        ring_bytes=1 << (ring_bytes - 1).bit_length(),
        probes=list(probes),
        all_functions=all_functions,
    )
    return Trace(tracer, count=count, seconds=seconds)


def follow_one(
    filter: str = "",  # noqa: A002
    *,
    trigger: Callable[[], object] | None = None,
    seconds: float = 5.0,
    probes: Sequence[str] = (),
) -> tuple[TracedPacket | None, tuple[str, ...]]:
    """Follow the first packet that matches, to its end.

    Args:
        filter: a pcap expression.
        trigger: called when everything is in place, to send the packet.
        seconds: wait no longer.
        probes: as of `follow`.

    Returns:
        The packet (None: none came), and what this kernel does not let us see, a line each.

    Raises:
        As `follow` does.
    """
    with follow(filter, count=1, seconds=seconds, probes=probes) as trace:
        if trigger is not None:
            trigger()
        return next(iter(trace), None), trace.notes


class Trace:
    """Packets as they are followed: iterate over it. It leaves the kernel when it is closed, or its process ends."""

    def __init__(self, tracer: _core.PacketTracer, *, count: int = 0, seconds: float | None = None) -> None:
        self.hooks: tuple[Hook, ...] = tuple(Hook(*row) for row in tracer.hooks)
        self.notes: tuple[str, ...] = tuple(tracer.notes)
        """What this kernel does not let us see, a line each."""
        self._tracer = tracer
        self._count = count
        self._until = None if seconds is None else time.monotonic() + seconds
        self._layout = np.dtype(_core.trace_event_layout())
        self._assembler = Assembler(self.hooks, tracer.drop_reason, tracer.place_of)
        self._interrupted = False

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the kernel."""
        self.close()

    def close(self) -> None:
        """Leave the kernel: no program stays attached."""
        self._tracer.stop()

    def interrupt(self) -> None:
        """End the iteration soon, after what has already been seen. From a signal handler or any thread."""
        self._interrupted = True

    @property
    def counts(self) -> Counts:
        """What happened to events on their way."""
        return Counts(**self._tracer.counts())

    def read(self, seconds: float = 0.0) -> tuple[npt.NDArray[Any], list[bytes]]:
        """Take the events that have come, or come in so many seconds, as columns: for what is too much for objects.

        Returns:
            A structured array (its fields are those of ``native/trace/packets/event.h``; ``hook`` is a row of
            ``hooks``), and the bytes of the packets that were seen for the first time, in the order of the events whose
            ``flags`` have 1. What is taken so does not come from the iteration.
        """
        raw, payload = self._tracer.read(seconds)
        events = np.frombuffer(raw, self._layout)
        ends = np.cumsum(events["caplen"].astype(np.int64))
        starts = ends - events["caplen"]
        first = (events["flags"] & FIRST) != 0
        return events, [payload[a:b] for a, b in zip(starts[first], ends[first], strict=True)]

    def __iter__(self) -> Iterator[TracedPacket]:
        """The packets, each when it is complete, or when nothing was heard of it for a second."""
        shown = 0
        while True:
            over = self._interrupted or (self._until is not None and time.monotonic() >= self._until)
            if over:
                self._tracer.stop()
            self._assembler.feed(*self.read(0.0 if over else _LOOK_S))
            for packet in self._assembler.rest() if over else self._assembler.complete(quiet_ns=int(_QUIET_S * 1e9)):
                yield packet
                shown += 1
                if self._count and shown == self._count:
                    return
            if over:
                return


class Assembler:
    """Puts the events of each packet together."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        drop_reason: Callable[[int], str],
        place_of: Callable[[int], str],
        names: NamespaceNames | None = None,
    ) -> None:
        self._hooks = hooks
        self._drop_reason = drop_reason
        self._place_of = place_of
        self._places: dict[int, str] = {}
        self._names = names or NamespaceNames()
        self._open: dict[int, _Packet] = {}

    def feed(self, events: npt.NDArray[Any], payloads: Sequence[bytes]) -> None:
        """Take what `Trace.read` gives."""
        payload = iter(payloads)
        now = time.monotonic_ns()
        for row in events:
            packet = self._open.setdefault(int(row["packet"]), _Packet())
            if row["flags"] & FIRST:
                packet.first, packet.data = row, next(payload)
            packet.take(row, now)

    def complete(self, *, quiet_ns: int) -> list[TracedPacket]:
        """Those whose skbs have all ended, or of which nothing was heard for so long."""
        now = time.monotonic_ns()
        done = [number for number, packet in self._open.items() if packet.ended or now - packet.heard_ns > quiet_ns]
        return self._made(done)

    def rest(self) -> list[TracedPacket]:
        """All others, as far as they were seen."""
        return self._made(list(self._open))

    def _made(self, numbers: list[int]) -> list[TracedPacket]:
        made = [self._packet(number, self._open.pop(number)) for number in numbers]
        return sorted(made, key=lambda packet: packet.ts)

    def _packet(self, number: int, packet: _Packet) -> TracedPacket:
        rows = sorted(packet.rows, key=lambda row: int(row["ts_ns"]))
        skbs: dict[int, int] = {}
        start = int(rows[0]["ts_ns"])
        events = tuple(self._event(row, start, skbs) for row in rows)
        first = packet.first
        return TracedPacket(
            number=number,
            ts=start,
            data=packet.data,
            linktype=1 if first is None else int(first["linktype"]),
            origlen=0 if first is None else int(first["origlen"]),
            vlan_tci=0 if first is None else int(first["vlan_tci"]),
            vlan_tpid=0 if first is None else int(first["vlan_tpid"]),
            events=events,
            ends=_ends(events),
        )

    def _event(self, row: Any, start: int, skbs: dict[int, int]) -> Event:
        flags, address, netns = int(row["flags"]), int(row["skb"]), int(row["netns"])
        hook = self._hooks[int(row["hook"])]
        by_xdp = bool(flags & ENDED) and hook.function == XDP and int(row["detail"]) in XDP_DROPS
        dropped = bool(flags & DROPPED) or by_xdp
        return Event(
            ts=int(row["ts_ns"]),
            since_first_ns=int(row["ts_ns"]) - start,
            hook=hook,
            cpu=int(row["cpu"]),
            context=_context(flags),
            process=_text(row["comm"]),
            pid=int(row["pid"]),
            tid=int(row["tid"]),
            netns=netns or None,
            netns_name=self._names.of(netns),
            interface=_text(row["interface"]),
            ifindex=int(row["ifindex"]),
            skb=skbs.setdefault(address, len(skbs) + 1) if address else 0,
            address=address,
            length=int(row["len"]),
            detail=int(row["detail"]),
            inferred=bool(flags & INFERRED),
            ended=bool(flags & ENDED),
            dropped=dropped,
            reason=self._reason(row, by_xdp=by_xdp) if dropped else "",
            place=self._place(int(row["location"])),
            holders=int(row["holders"]),
        )

    def _reason(self, row: Any, *, by_xdp: bool) -> str:
        detail = int(row["detail"])
        return XDP_DROPS[detail] if by_xdp else self._drop_reason(detail)

    def _place(self, location: int) -> str:
        if location not in self._places:
            self._places[location] = self._place_of(location) if location else ""
        return self._places[location]


class _Packet:
    """What has been heard of a packet so far."""

    def __init__(self) -> None:
        self.first: Any = None
        self.data = b""
        self.rows: list[Any] = []
        self.heard_ns = 0
        self._alive: set[int] = set()
        self._gone: dict[int, int] = {}  # skb, when
        self._held_elsewhere = True

    def take(self, row: Any, now: int) -> None:
        self.rows.append(row)
        self.heard_ns = now
        skb, ts = int(row["skb"]), int(row["ts_ns"])
        if row["flags"] & ENDED:
            self._alive.discard(skb)
            self._gone[skb] = ts
            self._held_elsewhere = bool(row["holders"])
        elif skb and ts > self._gone.get(skb, 0):  # events of several CPUs may come in another order
            self._alive.add(skb)

    @property
    def ended(self) -> bool:
        return not self._alive and not self._held_elsewhere


def _ends(events: Sequence[Event]) -> tuple[End, ...]:
    last: dict[int, Event] = {}
    received: dict[int, Event] = {}
    for event in events:
        last[event.skb] = event
        if event.hook.function in RECEIVING:
            received[event.skb] = event
    by_xdp = last.pop(0) if len(last) > 1 and 0 in last else None
    return tuple(_end(skb, event, received.get(skb), by_xdp) for skb, event in last.items())


def _end(skb: int, event: Event, received: Event | None, by_xdp: Event | None) -> End:
    if received is not None:
        return End("received", skb, received)
    if event.dropped:  # an XDP program's word says more than that its packet was freed
        return End("dropped", skb, by_xdp if by_xdp is not None and by_xdp.dropped else event)
    if event.hook.function == "napi_gro_receive" and event.ended:
        return End("merged", skb, event)
    return End("done" if event.ended else "unseen", skb, event)


def _context(flags: int) -> Context | None:
    if flags & UNKNOWN_CONTEXT:
        return None
    return "hardirq" if flags & HARDIRQ else "softirq" if flags & SOFTIRQ else "process"


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")  # what stood there before may follow
