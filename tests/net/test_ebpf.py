# SPDX-License-Identifier: Apache-2.0
"""What only the engine `ebpf` has: hooks, tap and take, several interfaces in one ring, other programs beside it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

import wirepath as wp
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import RIGHT_MAC, Wire

ENGINE = next(engine for engine in wp.engines() if engine.name == "ebpf")
pytestmark = pytest.mark.skipif(not ENGINE.usable, reason=f"cannot run here: {ENGINE.reason}")
HOOKS: tuple[dict[str, Any], ...] = (
    {"hook": "tc"},
    {"hook": "xdp", "xdp_mode": "native"},
    {"hook": "xdp", "xdp_mode": "generic"},
)
over_hooks = pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: "-".join(hook.values()))


@pytest.fixture
def sender(wire: Wire) -> Iterator[Sender]:
    with Sender(wire.near) as made:
        yield made


def open_on(wire: Wire, **options: Any) -> wp.Capture:
    return wp.open(wire.far.name, engine="ebpf", netns=wire.far.namespace.path, **options)


def packets(capture: wp.Capture, count: int, seconds: float = 10) -> list[wp.Packet]:
    """The next `count` packets, or what came of them in time."""
    found: list[wp.Packet] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        found += list(batch) if batch is not None else []
    return found


def numbers(capture: wp.Capture, count: int, seconds: float = 10) -> list[int | None]:
    return [number_of(packet.data) for packet in packets(capture, count, seconds)]


@over_hooks
@pytest.mark.parametrize("mode", ["tap", "take"])
def test_stack_gets_what_is_not_taken(wire: Wire, sender: Sender, hook: dict[str, Any], mode: str) -> None:
    """A packet socket stands for the stack. In mode take it gets what the filter rejects, and nothing else."""
    frames = [frame(number, port=53 if number < 10 else 80) for number in range(20)]
    with (
        wp.open(wire.far.name, engine="socket", netns=wire.far.namespace.path, direction="in") as stack,
        open_on(wire, mode=mode, filter="udp dst port 53", **hook) as capture,
    ):
        sender.send(frames)
        assert numbers(capture, 10) == list(range(10))
        # The socket is before tc on the way in: there it gets everything, and what tc took is seen by nobody after it.
        sees_all = mode == "tap" or hook["hook"] == "tc"
        expected = list(range(20)) if sees_all else list(range(10, 20))
        assert numbers(stack, 20, 1 if not sees_all else 10) == expected
        assert capture.sources[0].takes_packets == (mode == "take")


@pytest.mark.parametrize("mode", ["tap", "take"])
def test_udp_at_tc(wire: Wire, sender: Sender, mode: str) -> None:
    """The receiver of a datagram, which is behind tc, gets it only if it was not taken."""
    with wire.far.namespace.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        subprocess.run(["ip", "link", "set", wire.far.name, "address", RIGHT_MAC.hex(":")], check=True)
        subprocess.run(["ip", "addr", "add", "10.77.0.2/24", "dev", wire.far.name], check=True)
    with receiver, open_on(wire, mode=mode) as capture:
        receiver.bind(("10.77.0.2", 9))
        receiver.settimeout(1)
        sender.send([frame(1)])
        assert 1 in numbers(capture, 1)
        if mode == "tap":
            assert receiver.recv(2000)
        else:
            with pytest.raises(TimeoutError):
                receiver.recv(2000)


def test_rejected_packets_dropped(wire: Wire, sender: Sender) -> None:
    """And counted, each."""
    hook = {"hook": "xdp", "xdp_mode": "native"}
    with (
        wp.open(wire.far.name, engine="socket", netns=wire.far.namespace.path, direction="in") as stack,
        open_on(wire, mode="take", rejected="drop", filter="udp dst port 53", **hook) as capture,
    ):
        sender.send([frame(number, port=53 if number % 2 else 80) for number in range(20)])
        assert numbers(capture, 10) == list(range(1, 20, 2))
        assert numbers(stack, 1, 0.5) == []
        assert capture.filtered_by == "xdp"
        assert capture.stats().filtered == 10


@over_hooks
def test_filter_runs_in_the_program(wire: Wire, sender: Sender, hook: dict[str, Any]) -> None:
    """What it rejects is counted, also while it changes."""
    with open_on(wire, filter="udp dst port 53", **hook) as capture:
        assert capture.filtered_by == ("kernel" if hook["hook"] == "tc" else "xdp")
        sender.send([frame(number, port=53 if number < 5 else 80) for number in range(20)])
        assert numbers(capture, 5) == list(range(5))
        assert capture.stats().filtered == 15
        capture.set_filter("udp dst port 80")
        sender.send([frame(number, port=53 if number < 5 else 80) for number in range(20)])
        assert numbers(capture, 15) == list(range(5, 20))
        assert capture.stats().filtered == 20


@pytest.mark.parametrize(("word", "meaning"), [("1", "tap"), ("2", "take")])
def test_words_of_pf_ring(wire: Wire, word: str, meaning: str) -> None:
    with open_on(wire, mode=word) as capture:
        assert capture.mode.startswith(meaning + ", ")


def test_pf_rings_mode_0_is_another_engine(wire: Wire) -> None:
    with pytest.raises(wp.OptionError, match="tpacket_v3"):
        open_on(wire, mode="0")


@pytest.mark.parametrize(
    "options",
    [
        {"hook": "xdp", "direction": "out"},
        {"hook": "xdp", "direction": "inout"},
        {"hook": "tc", "xdp_mode": "native"},
        {"rejected": "drop"},
        {"mode": "both"},
        {"block_size": "64k"},
        {"block_size": 600_001},
        {"block_nr": 2},
        {"also": "mon0"},
        {"also": ","},
    ],
)
def test_options_that_cannot_be(wire: Wire, options: dict[str, Any]) -> None:
    with pytest.raises(wp.OptionError):
        open_on(wire, **options)


def test_xdp_is_refused_by_name(wire: Wire) -> None:
    """And tc is offered, and goes."""
    with wp.open(wire.far.name, engine="af_xdp", netns=wire.far.namespace.path):
        with pytest.raises(
            wp.BusyError, match=rf"{wire.far.name}, which has an XDP program already: \w+, id \d+"
        ) as found:
            open_on(wire, hook="xdp")
        assert "hook=tc" in str(found.value)
        with open_on(wire, hook="tc"):
            assert wire.far.has_xdp()


def test_beside_others_at_tc(wire: Wire, sender: Sender) -> None:
    """Somebody else's filter is still there afterwards, and two taps see the same."""

    def tc(*words: str) -> str:
        with wire.far.namespace.entered():
            return subprocess.run(["tc", *words], check=True, capture_output=True, text=True).stdout

    tc("qdisc", "add", "dev", wire.far.name, "clsact")
    tc(*f"filter add dev {wire.far.name} ingress protocol all u32 match u32 0 0 flowid 1:1".split())
    before = tc("filter", "show", "dev", wire.far.name, "ingress")
    assert "u32" in before
    with open_on(wire) as first, open_on(wire) as second:
        sender.send([frame(1), frame(2)])
        assert numbers(first, 2) == [1, 2]
        assert numbers(second, 2) == [1, 2]
    assert tc("filter", "show", "dev", wire.far.name, "ingress") == before


def test_two_interfaces_in_one_ring(wire: Wire, sender: Sender) -> None:
    """Each packet says its interface, and they come in the order of their time."""
    with wire.far.namespace.entered():
        for command in (
            "link add name two0 type veth peer name two1",
            "link set two0 up",
            "link set two1 up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        other = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with other, open_on(wire, also="two1", direction="in") as capture:
        other.bind(("two0", 0))
        assert [interface.name for interface in capture.interfaces] == [wire.far.name, "two1"]
        for number in range(10):
            sender.send([frame(2 * number)])
            other.send(frame(2 * number + 1))
        found = [packet for packet in packets(capture, 20) if number_of(packet.data) is not None]
    assert [number_of(packet.data) for packet in found] == list(range(20))
    assert [packet.interface_name for packet in found] == [wire.far.name, "two1"] * 10
    assert [packet.ts for packet in found] == sorted(packet.ts for packet in found)


@over_hooks
def test_hook_column(wire: Wire, sender: Sender, hook: dict[str, Any]) -> None:
    expected = wp.Hook.TC if hook["hook"] == "tc" else wp.Hook.XDP
    with open_on(wire, **hook) as capture:
        sender.send([frame(1)])
        batch = capture.receive(10)
        assert batch is not None
        assert batch.hook is not None
        assert batch.hook.tolist() == [expected] * len(batch)
        assert batch.mark is None
        assert batch.pid is None
        for same in (batch.copy(), batch.take([0]), batch.where(batch.origlen > 0)):
            assert same.hook is not None
            assert same.hook[0] == expected
            assert same[0].hook == expected


def test_others_have_no_such_columns(wire: Wire, sender: Sender) -> None:
    with wp.open(wire.far.name, engine="socket", netns=wire.far.namespace.path) as capture:
        sender.send([frame(1)])
        batch = capture.receive(10)
        assert batch is not None
        assert batch.hook is None
        assert batch[0].mark is None


@over_hooks
def test_segments_that_the_sender_left_to_offload(wire: Wire, hook: dict[str, Any]) -> None:
    """A frame of 60,000 bytes that no wire would carry is captured whole, where the stack passes it on whole."""
    count, mss = 40, 1400
    data = bytes(index & 0xFF for index in range(count * mss))
    with wire.near.namespace.entered():
        subprocess.run(["ip", "addr", "add", "10.77.0.1/24", "dev", wire.near.name], check=True)
        subprocess.run(
            ["ip", "neigh", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:99", "dev", wire.near.name], check=True
        )
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_UDP, 103, mss)  # UDP_SEGMENT
    with udp, open_on(wire, filter="udp port 4242", **hook) as capture:
        udp.sendto(data, ("10.77.0.2", 4242))
        payload = b""
        for packet in packets(capture, 1) + packets(capture, count, 1):
            assert len(packet.data) == packet.origlen
            payload += packet.data[42:]
    assert payload == data


def test_nothing_is_left(wire: Wire) -> None:
    """At tc, where a closed capture could leave a filter or a qdisc behind."""

    def on_interface() -> str:
        with wire.far.namespace.entered():
            show = [["tc", "qdisc", "show"], ["tc", "filter", "show", "ingress"], ["tc", "filter", "show", "egress"]]
            return "".join(
                subprocess.run(
                    [*one[:3], "dev", wire.far.name, *one[3:]], check=False, capture_output=True, text=True
                ).stdout
                for one in show
            )

    before = on_interface()
    with open_on(wire), open_on(wire, mode="take"):
        pass
    assert on_interface() == before
