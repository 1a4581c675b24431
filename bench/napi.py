# SPDX-License-Identifier: Apache-2.0
"""What each choice of the engine napi does to a NIC's interrupts and polls: the tables of docs/napi.md.

    python -m tests.kernels run --kernel 6.12 --nic e1000e,igb,virtio-net -- python -m bench.napi e1000e igb virtio

Packets come one by one, 0.7 ms apart, to the far end of each pair: on a fast link that is seldom, for an emulated one
it is what its interrupts can follow. Traps: the sending end has interrupts of its own, which are not counted; igb
resets its link when an XDP program comes, and nothing is sent before there is a carrier again; a guest has one CPU, so
that sender, softirq and capture take it from each other.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import wirepath as wp
from wirepath.bench.frames import Sender, frame
from wirepath.bench.nic_wire import NicWire

GAP_S = 0.0007
EPIOCSPARAMS = 0x40088A01  # struct epoll_params: busy_poll_usecs, busy_poll_budget, prefer_busy_poll, a pad
SO_BUSY_POLL, SO_INCOMING_NAPI_ID, ETH_P_ALL = 46, 56, 3


@dataclass(frozen=True)
class Row:
    """One way to receive, over one NIC."""

    nic: str
    way: str
    packets: float
    interrupts_a_packet: float | None
    polls_a_packet: float | None
    empty_polls_a_packet: float | None
    received: int
    granted: str
    said: str


Reader = Callable[[wp.Capture], int]  # receives for a moment; how many packets that were


def plainly(capture: wp.Capture) -> int:
    """As a program does that has nothing else to do."""
    batch = capture.receive(0.05)
    return len(batch) if batch is not None else 0


@contextmanager
def busy_epoll(_wire: NicWire, capture: wp.Capture) -> Iterator[Reader]:
    """An epoll of the program's own that is told to busy poll (Linux 6.9)."""
    with select.epoll() as poll:
        poll.register(capture.fileno(), select.EPOLLIN)
        fcntl.ioctl(poll.fileno(), EPIOCSPARAMS, struct.pack("=IHBB", 1000, 64, 1, 0))

        def read(capture: wp.Capture) -> int:
            poll.poll(0.05)
            batch = capture.receive(0)
            return len(batch) if batch is not None else 0

        yield read


@contextmanager
def busy_packet_socket(wire: NicWire, capture: wp.Capture) -> Iterator[Reader]:
    """A packet socket beside the capture, that asks for busy polling and reads in a blocking call."""
    name = capture.interfaces[0].name
    with wire.far.namespace.entered():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with tap:
        tap.bind((name, ETH_P_ALL))
        tap.settimeout(None)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", 0, 50_000))
        tap.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, 500)

        def read(_capture: wp.Capture) -> int:
            try:
                tap.recv(2048)
            except BlockingIOError:
                return 0
            return 1

        yield read
        number = tap.getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID)
        print(f"SO_INCOMING_NAPI_ID of a packet socket on {name}, after packets: {number}")


Way = tuple[str, dict[str, Any], Any]
WAYS: tuple[Way, ...] = (
    ("packet, nothing set", {"poll": "keep"}, None),
    ("packet, SO_BUSY_POLL 500 µs", {"poll": "keep"}, busy_packet_socket),
    ("packet, throughput", {"poll": "throughput"}, None),
    ("packet, cpu", {"poll": "cpu"}, None),
    ("packet, latency", {"poll": "latency", "threaded": "busy_poll"}, None),
    ("packet, threaded", {"poll": "keep", "threaded": "on"}, None),
    ("packet, defer 2, flush 2 ms", {"poll": "keep", "defer_hard_irqs": 2, "gro_flush_timeout_ns": 2_000_000}, None),
    ("xdp, nothing set", {"via": "xdp", "poll": "keep"}, None),
    ("xdp, epoll that busy polls", {"via": "xdp", "poll": "keep"}, busy_epoll),
    (
        "xdp, busy poll 200 µs, preferred",
        {"via": "xdp", "poll": "keep", "busy_poll_us": 200, "prefer_busy_poll": True},
        None,
    ),
    ("xdp, throughput", {"via": "xdp", "poll": "throughput"}, None),
    ("xdp, cpu", {"via": "xdp", "poll": "cpu"}, None),
    ("xdp, latency", {"via": "xdp", "poll": "latency"}, None),
)


def measure(wire: NicWire, way: Way, count: int) -> Row:
    """Opens, waits for the link, sends and receives in turn, and reads what the capture observed."""
    name, options, reader = way
    with wp.open(wire.far.name, engine="napi", netns=wire.far.namespace.path, **options) as capture:
        wire.near.wait_until_it_sends()
        received = 0
        if reader is None:
            received = exchange(wire, capture, plainly, count)
        else:
            with reader(wire, capture) as read:
                received = exchange(wire, capture, read, count)
        source = capture.sources[0]
    seen = {one.name: one for one in capture.observed}
    packets = seen["packets"].during or 0

    def a_packet(what: str) -> float | None:
        value = seen[what].during
        return None if value is None or not packets else value / packets

    said = "; ".join(f"{item.name} {item.granted}" for item in source.granted if item.name in TOLD)
    figures = a_packet("interrupts"), a_packet("polls"), a_packet("empty_polls")
    return Row(wire.driver, name, packets, *figures, received, f"{source.mode}; {said}", seen["effect"].detail)


TOLD = ("gro_flush_timeout_ns", "defer_hard_irqs", "threaded", "busy_poll_us", "prefer_busy_poll")


def exchange(wire: NicWire, capture: wp.Capture, read: Reader, count: int) -> int:
    """The packets go out from a process of their own: this one waits in the kernel as a capture does."""
    child = os.fork()
    if child == 0:
        with Sender(wire.near) as sender:
            for number in range(count):
                sender.send([frame(number, 200)])
                time.sleep(GAP_S)
        os._exit(0)
    received = 0
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        received += read(capture)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        received += read(capture)
    return received


def show(row: Row) -> None:
    """A row of the table."""
    cells = (row.interrupts_a_packet, row.polls_a_packet, row.empty_polls_a_packet)
    figures = " | ".join("?" if value is None else f"{value:.3f}" for value in cells)
    print(
        f"| {row.nic} | {row.way} | {figures} | {row.received} of {row.packets:.0f} | {row.granted} | {row.said} |",
        flush=True,
    )


def main(arguments: list[str], count: int = 1000) -> None:
    """Over each pair PREFIX0, PREFIX1; --only=WORD: the ways whose name has it."""
    words = [argument.removeprefix("--only=") for argument in arguments if argument.startswith("--only=")]
    prefixes = [argument for argument in arguments if not argument.startswith("--")]
    print(f"Linux {os.uname().release}: interrupts, polls, empty polls a packet; received; granted; what it says")
    for prefix in prefixes:
        wire = NicWire(f"{prefix}0", f"{prefix}1")
        for way in (way for way in WAYS if not words or any(word in way[0] for word in words)):
            wire.ready()
            try:
                show(measure(wire, way, count))
            except (wp.WirepathError, OSError) as refused:
                print(f"| {wire.driver} | {way[0]} | cannot: {refused} |", flush=True)
        wire.give_back()


if __name__ == "__main__":
    main(sys.argv[1:])
