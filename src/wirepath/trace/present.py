# SPDX-License-Identifier: Apache-2.0
"""A traced packet in words, and as JSON and pcapng say it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from wirepath import _core
from wirepath.printable import printable
from wirepath.trace.packets import RECEIVING, XDP, End, Event, Hook, TracedPacket

__all__ = ["as_object", "comments", "missing_hooks", "text_of", "to_batch"]

XDP_ACTIONS = ("ABORTED", "DROP", "PASS", "TX", "REDIRECT")


def text_of(packet: TracedPacket) -> str:
    """The packet's line, a line for each event, and what became of it."""
    columns = [[printable(cell) for cell in _columns(event, packet)] for event in packet.events]
    widths = [max(len(row[i]) for row in columns) for i in range(len(columns[0]) - 1)]
    lines = [packet.line]
    for time, *row in columns:
        cells = [cell.ljust(width) for cell, width in zip(row, widths[1:], strict=False)]
        lines.append(f"  {time.rjust(widths[0])}  {'  '.join([*cells, row[-1]])}".rstrip())
    lines.append("  = " + printable("; ".join(outcomes(packet))))
    return "\n".join(lines)


def _columns(event: Event, packet: TracedPacket) -> list[str]:
    several = len({other.skb for other in packet.events}) > 1
    return [
        f"{event.since_first_ns / 1000:+.1f} µs",
        f"CPU {event.cpu}",
        *([f"#{event.skb}" if event.skb else "XDP"] if several else []),
        _where(event),
        event.hook.function,
        _who(event),
        what(event, packet),
    ]


def what(event: Event, packet: TracedPacket) -> str:
    """What happens at this hook to this packet."""
    stage, function = event.hook.stage, event.hook.function
    if event.dropped:
        return "DROPPED: " + _why(event)
    if event.hook.kind == "copy" and event.skb != _original(event, packet):
        return f"{stage} (#{_original(event, packet)} → #{event.skb})"
    if function in ("skb_copy_datagram_iovec", "sock_recv_length"):
        return f"{stage}: {event.detail} bytes" + (" (inferred)" if event.inferred else "")
    if function == "icmp_send":
        return f"{stage}: type {event.detail >> 8}, code {event.detail & 0xFF}"
    if function == "udp_fail_queue_rcv_skb":
        return f"{stage}: {_error_name(event.detail)}"
    if function == "net_dev_xmit" and event.detail & 0xFFFFFFFF:
        return f"the driver returns {event.detail & 0xFFFFFFFF:#x}"
    if function == XDP:
        action = XDP_ACTIONS[event.detail] if event.detail < len(XDP_ACTIONS) else str(event.detail)
        return f"{stage} {event.place}" + (f": XDP_{action}" if "decides" in stage else "")
    return stage


def _why(event: Event) -> str:
    return f"{event.reason} in {event.place}" if event.place else event.reason


def _original(event: Event, packet: TracedPacket) -> int:
    """The number of the skb that this one was made from, or its own."""
    for other in packet.events:
        if event.detail and other.address == event.detail:
            return other.skb
    return event.skb


def _error_name(value: int) -> str:
    """Of a negative errno, which the tracepoint gave as 64 bits without a sign."""
    return os.strerror(-value & 0xFFFFFFFF)


def _where(event: Event) -> str:
    if not event.interface:
        return ""
    if event.netns_name:
        return f"{event.interface} (netns {event.netns_name})"
    return event.interface


def _who(event: Event) -> str:
    if event.context in ("softirq", "hardirq"):
        return event.context
    process = f"{event.process}[{event.pid}]" if event.pid else "idle"
    return process + ("?" if event.context is None and event.hook.function not in RECEIVING else "")


def outcomes(packet: TracedPacket) -> list[str]:
    """What became of each skb of the packet, in words."""
    several = len(packet.ends) > 1
    return [(f"#{end.skb} " if several and end.skb else "") + _outcome(end, packet) for end in packet.ends]


def _outcome(end: End, packet: TracedPacket) -> str:
    event = end.event
    if end.kind == "dropped":
        return "DROPPED: " + _why(event)
    if end.kind == "received":
        return f"received by {event.process}[{event.pid}]" + (" (inferred)" if event.inferred else "")
    if end.kind == "merged":
        return "merged into the packet before it (GRO)"
    if end.kind == "unseen":
        return f"last seen at {event.hook.function}: its end was not seen"
    taps = [other for other in packet.events if other.hook.group == "tap" and other.skb == end.skb]
    if taps:
        return f"done with, after a tap ({taps[-1].hook.function}) had it"
    return "done with"


def as_object(packet: TracedPacket) -> dict[str, Any]:
    """As ``trace --json`` says it (docs/json.md)."""
    return {
        "v": 1,
        "number": packet.number,
        "ts": packet.ts,
        "line": packet.line,
        "linktype": packet.linktype,
        "origlen": packet.origlen,
        "data": packet.data.hex(),
        "vlan_tci": packet.vlan_tci if packet.vlan_tpid else None,
        "vlan_tpid": packet.vlan_tpid or None,
        "events": [_event_object(event, packet) for event in packet.events],
        "ends": [_end_object(end) for end in packet.ends],
    }


def _event_object(event: Event, packet: TracedPacket) -> dict[str, Any]:
    return {
        "ts": event.ts,
        "since_first_ns": event.since_first_ns,
        "function": event.hook.function,
        "hook": event.hook.kind,
        "group": event.hook.group,
        "stage": event.hook.stage,
        "what": what(event, packet),
        "cpu": event.cpu,
        "context": event.context,
        "process": event.process,
        "pid": event.pid,
        "tid": event.tid,
        "netns": event.netns,
        "netns_name": event.netns_name or None,
        "interface": event.interface or None,
        "ifindex": event.ifindex or None,
        "skb": event.skb,
        "length": event.length,
        "detail": None if event.hook.kind == "copy" else event.detail,
        "inferred": event.inferred,
        "ended": event.ended,
        "reason": event.reason or None,
        "place": event.place or None,
    }


def _end_object(end: End) -> dict[str, Any]:
    received = end.kind == "received"
    return {
        "kind": end.kind,
        "skb": end.skb,
        "process": end.event.process if received else None,
        "pid": end.event.pid if received else None,
        "reason": end.event.reason or None,
        "place": end.event.place or None,
        "last": end.event.hook.function,
    }


def comments(packet: TracedPacket) -> list[str]:
    """One for each event, and one for what became of the packet."""
    return [line.strip() for line in text_of(packet).splitlines()[1:]]


def to_batch(packets: Iterable[TracedPacket]) -> _core.Batch:
    """For a writer: each packet once, its events as comments on it."""
    interfaces: dict[tuple[str, int], int] = {}
    rows = []
    for packet in packets:
        if not packet.data:
            continue
        key = (packet.events[0].interface, packet.linktype)
        interface = interfaces.setdefault(key, len(interfaces))
        rows.append(
            (
                packet.ts,
                packet.data,
                packet.origlen,
                interface,
                packet.vlan_tci,
                packet.vlan_tpid,
                comments(packet),
            )
        )
    return _core.batch_of(list(interfaces), rows)


def missing_hooks(hooks: Iterable[Hook]) -> list[str]:
    """What could not be hooked that was asked for, a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for hook in hooks:
        if hook.reason and hook.reason != "not asked for":
            by_reason.setdefault(hook.reason, []).append(hook.function)
    return [f"{reason}: {', '.join(names)}" for reason, names in by_reason.items()]
