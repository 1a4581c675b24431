# SPDX-License-Identifier: Apache-2.0
"""Events put together to packets, in words, as JSON and as comments in a file: from events made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import wirepath as wp
from wirepath import _core
from wirepath.bench.frames import frame
from wirepath.errors import OptionError
from wirepath.trace import follow
from wirepath.trace.namespaces import NamespaceNames
from wirepath.trace.packets import (
    DROPPED,
    ENDED,
    FIRST,
    INFERRED,
    SOFTIRQ,
    UNKNOWN_CONTEXT,
    Assembler,
    Hook,
    TracedPacket,
)
from wirepath.trace.present import as_object, comments, text_of, to_batch

pytestmark = pytest.mark.skipif(not hasattr(_core, "trace_event_layout"), reason="cannot run here: it was not built")

HOOKS = (
    Hook("netif_receive_skb", "tracepoint", "stack", "enters the stack", ""),
    Hook("skb_clone", "copy", "copy", "cloned", ""),
    Hook("skb_copy_datagram_iovec", "tracepoint", "socket", "copied to the program", ""),
    Hook("consume_skb", "tracepoint", "end", "freed", ""),
    Hook("kfree_skb", "tracepoint", "end", "dropped", ""),
    Hook("napi_gro_receive", "mark", "gro", "merged", ""),
    Hook("XDP program", "mark", "xdp", "decides: the program", ""),
    Hook("udp_fail_queue_rcv_skb", "tracepoint", "udp", "not taken", ""),
    Hook("sock_recv_length", "mark", "socket", "taken", ""),
)
ROW = {hook.function: row for row, hook in enumerate(HOOKS)}
START = 1_795_446_000_123_456_000
DATA = frame(7)


def events(*rows: dict[str, Any]) -> npt.NDArray[Any]:
    made = np.zeros(len(rows), np.dtype(_core.trace_event_layout()))
    usual = {"packet": 1, "skb": 0xA0, "cpu": 1, "pid": 42, "tid": 42, "comm": b"ping", "interface": b"eth0"}
    for to, row in zip(made, rows, strict=True):
        for name, value in (usual | row).items():
            to[name] = ROW[value] if name == "hook" else value
    made["ts_ns"] += START
    return made


def packets(*rows: dict[str, Any], payloads: tuple[bytes, ...] = (DATA,)) -> list[TracedPacket]:
    assembler = Assembler(HOOKS, lambda reason: f"REASON_{reason}", lambda place: f"place_{place}", NamespaceNames())
    assembler.feed(events(*rows), payloads)
    return assembler.complete(quiet_ns=10**12)


def first(**more: Any) -> dict[str, Any]:
    return {
        "hook": "netif_receive_skb",
        "flags": FIRST | SOFTIRQ,
        "caplen": len(DATA),
        "origlen": len(DATA),
        "linktype": 1,
    } | more


def test_one_that_is_dropped() -> None:
    drop = {"hook": "kfree_skb", "flags": ENDED | DROPPED | SOFTIRQ, "detail": 3, "location": 9, "ts_ns": 12_300}
    (packet,) = packets(first(), drop)
    line, one, two, end = text_of(packet).splitlines()
    assert line.endswith("IP 10.77.0.1.5000 > 10.77.0.2.9: UDP, length 22")
    assert one == "   +0.0 µs  CPU 1  eth0  netif_receive_skb  softirq  enters the stack"
    assert two == "  +12.3 µs  CPU 1  eth0  kfree_skb          softirq  DROPPED: REASON_3 in place_9"
    assert end == "  = DROPPED: REASON_3 in place_9"


def test_a_process_of_any_name_does_not_command_the_terminal() -> None:
    read = {"hook": "skb_copy_datagram_iovec", "detail": 64, "comm": b"\x1b[2J\xff\xc2\x9b", "ts_ns": 10}
    (packet,) = packets(first(), read, {"hook": "consume_skb", "flags": ENDED, "ts_ns": 20})
    said = "\n".join([text_of(packet), *comments(packet)])
    assert all(line.isprintable() for line in said.splitlines())
    assert "received by \N{REPLACEMENT CHARACTER}[2J" in said


def test_a_clone_has_a_number_and_an_end_of_its_own() -> None:
    (packet,) = packets(
        first(),
        {"hook": "skb_clone", "skb": 0xB0, "detail": 0xA0, "ts_ns": 1000, "interface": b""},
        {"hook": "kfree_skb", "flags": ENDED | DROPPED, "detail": 2, "ts_ns": 2000, "holders": 1},
        {"hook": "skb_copy_datagram_iovec", "skb": 0xB0, "detail": 64, "ts_ns": 3000, "pid": 77, "comm": b"tcpdump"},
        {"hook": "consume_skb", "skb": 0xB0, "flags": ENDED, "ts_ns": 4000},
    )
    text = text_of(packet)
    assert "cloned (#1 → #2)" in text
    assert "copied to the program: 64 bytes" in text
    assert text.endswith("  = #1 DROPPED: REASON_2; #2 received by tcpdump[77]")
    assert [(end.kind, end.skb) for end in packet.ends] == [("dropped", 1), ("received", 2)]


def test_it_is_complete_when_nobody_holds_its_bytes_any_more() -> None:
    ended = {"hook": "consume_skb", "flags": ENDED}
    assert packets(first(), ended | {"holders": 1}) == []
    assert len(packets(first(), ended)) == 1
    assert packets(first(), first(flags=0, skb=0xB0), ended) == []


def test_events_come_in_the_order_of_time() -> None:
    (packet,) = packets(first(ts_ns=10), {"hook": "consume_skb", "flags": ENDED, "ts_ns": 50}, first(flags=0, ts_ns=20))
    assert [event.since_first_ns for event in packet.events] == [0, 10, 40]


def test_what_was_lost_is_said() -> None:
    (packet,) = packets({"hook": "kfree_skb", "flags": ENDED | DROPPED, "detail": 2}, payloads=())
    assert packet.data == b""
    assert text_of(packet).startswith("(its first event was lost")


@pytest.mark.parametrize(
    ("flags", "pid", "expected"),
    [(SOFTIRQ, 42, "softirq"), (0, 42, "ping[42]"), (UNKNOWN_CONTEXT, 42, "ping[42]?"), (UNKNOWN_CONTEXT, 0, "idle?")],
)
def test_whose_time_it_was(flags: int, pid: int, expected: str) -> None:
    (packet,) = packets(first(flags=FIRST | flags, pid=pid), {"hook": "consume_skb", "flags": ENDED})
    assert f"  {expected}  " in text_of(packet).splitlines()[1]


def test_ends_in_words() -> None:
    merged = packets(first(), {"hook": "napi_gro_receive", "flags": ENDED})[0]
    assert text_of(merged).endswith("= merged into the packet before it (GRO)")
    by_xdp = packets(first(skb=0), {"hook": "XDP program", "flags": ENDED, "skb": 0, "detail": 1, "location": 5})[0]
    assert text_of(by_xdp).endswith("= DROPPED: XDP_DROP in place_5")
    taken = packets(first(), {"hook": "sock_recv_length", "flags": ENDED | INFERRED, "detail": 22})[0]
    assert text_of(taken).endswith("= received by ping[42] (inferred)")
    full = {"hook": "udp_fail_queue_rcv_skb", "detail": (1 << 64) - 12}
    refused = packets(first(), full, {"hook": "kfree_skb", "flags": ENDED | DROPPED, "detail": 6})[0]
    assert "not taken: Cannot allocate memory" in text_of(refused)


def test_another_namespace_is_named() -> None:
    (packet,) = packets(first(netns=7), {"hook": "consume_skb", "flags": ENDED})
    assert "eth0 (netns 7)" in text_of(packet)
    own = NamespaceNames().own
    (packet,) = packets(first(netns=own), {"hook": "consume_skb", "flags": ENDED})
    assert "netns" not in text_of(packet)


def test_what_stood_in_a_name_before_is_not_shown() -> None:
    (packet,) = packets(first(interface=b"eth0\0old"), {"hook": "consume_skb", "flags": ENDED})
    assert packet.events[0].interface == "eth0"


def test_json_has_what_is_documented() -> None:
    (packet,) = packets(first(), {"hook": "kfree_skb", "flags": ENDED | DROPPED, "detail": 3, "location": 9})
    shown = json.loads(json.dumps(as_object(packet)))
    documented = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    section = documented.split("## Traced packets")[1].split("\n## ")[0]
    for fields in (shown, shown["events"][0], shown["ends"][0]):
        assert [name for name in fields if f"`{name}`" not in section] == []
    assert (shown["v"], shown["data"], shown["ends"][0]["reason"]) == (1, DATA.hex(), "REASON_3")


def test_a_file_has_the_events_as_comments(tmp_path: Path) -> None:
    traced = packets(first(), {"hook": "kfree_skb", "flags": ENDED | DROPPED, "detail": 3})
    path = tmp_path / "traced.pcapng"
    with wp.PcapngWriter(path) as writer:
        writer.write(to_batch(traced))
    (packet,) = wp.open(path).packets()
    assert packet.data == DATA
    assert packet.ts == START
    assert packet.interface_name == "eth0"
    assert packet.comments[-1] == "= DROPPED: REASON_3"
    assert len(packet.comments) == 3


@pytest.mark.parametrize("wrong", [{"snaplen": 5}, {"snaplen": 300}, {"ring_bytes": 5}])
def test_numbers_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        follow("udp", **wrong)  # type: ignore[arg-type]
