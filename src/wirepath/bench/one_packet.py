# SPDX-License-Identifier: Apache-2.0
"""One packet of the lab, followed from the program that sends it to the programs that capture and receive it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import wirepath as wp
from wirepath.bench.lab import LEFT_ADDRESS, RIGHT_ADDRESS, Lab
from wirepath.bench.namespace import Namespace
from wirepath.trace import TracedPacket, follow_one

__all__ = ["ENGINE", "Followed", "follow_in_lab"]

# Its copy to the program passes a tracepoint, so that every kernel shows it.
ENGINE = "socket"
_PORT = 7777
_WORDS = b"the path of one packet"
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Followed:
    """What was seen of it."""

    packet: TracedPacket | None
    """None: nothing was seen."""
    notes: tuple[str, ...]
    """What this kernel does not let us see, a line each."""
    captured: bool
    """The capture has it."""


def follow_in_lab(lab: Lab) -> Followed:
    """Send a datagram from left to right while the monitor port is captured, and follow it.

    Raises:
        UnsupportedError, NoPermissionError: this kernel does not let us follow packets.
    """
    expression = f"udp and src host {LEFT_ADDRESS} and dst port {_PORT}"
    with (
        wp.open(lab.monitor.name, ENGINE, netns=lab.monitor.namespace.path, filter=expression) as capture,
        _socket_in(lab.right.namespace) as receiver,
        _socket_in(lab.left.namespace) as sender,
    ):
        receiver.bind((RIGHT_ADDRESS, _PORT))
        receiver.settimeout(_PATIENCE_S)
        captured: list[wp.Batch | None] = []

        def send() -> None:
            sender.sendto(_WORDS, (RIGHT_ADDRESS, _PORT))
            receiver.recv(len(_WORDS))
            captured.append(capture.receive(_PATIENCE_S))

        packet, notes = follow_one(expression, trigger=send, seconds=_PATIENCE_S)
    names = {
        Path(link.namespace.path).stat().st_ino: link.namespace.name
        for link in (lab.left, lab.right, lab.span, lab.monitor)
    }
    return Followed(None if packet is None else _with_names(packet, names), notes, captured != [None])


def _socket_in(namespace: Namespace) -> socket.socket:
    with namespace.entered():
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _with_names(packet: TracedPacket, names: Mapping[int, str]) -> TracedPacket:
    """The namespaces of the lab have no name that ip-netns(8) knows: these are told here."""
    events = tuple(replace(event, netns_name=names.get(event.netns or 0, event.netns_name)) for event in packet.events)
    return replace(packet, events=events)
