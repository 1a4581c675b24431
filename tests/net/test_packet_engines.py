# SPDX-License-Identifier: Apache-2.0
"""What only the taps of the stack have: rings of blocks, cooked packets, libpcap's devices and linktypes."""

from __future__ import annotations

import fcntl
import gc
import os
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from net.taps import FANOUT_TAPS, TAPS, granted, needs_sockets, open_on, packets
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import Wire

pytestmark = needs_sockets
SLL2_BYTES, VLAN = 20, 0x8100


# --- the ring


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"block_size": "64k"}, "choose block_size 524288, or snaplen 65280 or less"),
        ({"block_size": 600_000}, "multiple of the page size"),
        ({"block_size": "64k", "snaplen": 65281}, "choose block_size 131072"),
        ({"block_nr": 1}, "2 to 65536"),
        ({"block_nr": 65536, "block_size": "1G", "fanout": 256}, "half of the memory there is"),
        ({"block_timeout_ms": 0}, "1 to 60000"),
    ],
)
def test_geometry_is_checked(wire: Wire, options: dict[str, Any], advice: str) -> None:
    with pytest.raises(wp.OptionError, match=advice):
        open_on(wire, "tpacket_v3", **options)


@pytest.mark.parametrize("size", [65280, 60_000])
def test_largest_packet_of_a_block(wire: Wire, size: int) -> None:
    """What the geometry lets through fits: nothing is cut that the snaplen does not cut."""
    wire.far.set(mtu=65000)
    wire.near.set(mtu=65000)
    with open_on(wire, "tpacket_v3", block_size="64k", snaplen=size) as capture, Sender(wire.near) as sender:
        data = frame(0, 65_014)
        sender.send([data])
        (packet,) = packets(capture, 1)
    assert bytes(packet.data) == data[:size]
    assert packet.origlen == len(data)


def test_freezes(wire: Wire, sender: Sender) -> None:
    """A ring that was full says how often, and how many packets that cost."""
    with open_on(wire, "tpacket_v3", block_nr=2) as capture:
        sender.send(frame(number, 1000) for number in range(3000))
        received = len(packets(capture, 1))
        stats = capture.stats()
    assert stats.ring_freezes
    assert stats.dropped_ring
    assert stats.received == received
    assert received + stats.dropped_ring == 3000


def test_kept_batch_does_not_stop_the_ring(wire: Wire, sender: Sender) -> None:
    """A view may be kept for many rounds of the ring: it stays as it was, and nothing is lost."""
    kept: list[tuple[Any, bytes]] = []
    seen, per_turn = 0, 100
    with open_on(wire, "tpacket_v3", block_nr=8, block_timeout_ms=1) as capture:
        for turn in range(60):
            sender.send(frame(turn * per_turn + number, 600) for number in range(per_turn))
            until = time.monotonic() + 10
            while seen < (turn + 1) * per_turn and time.monotonic() < until:
                batch = capture.receive(0.2)
                if batch is None:
                    continue
                assert number_of(bytes(batch.data(0))) == seen, "lost, doubled or out of order"
                seen += len(batch)
                if turn in (0, 1, 30):
                    kept += [(batch.data(row), bytes(batch.data(row))) for row in range(len(batch))]
                del batch
        stats = capture.stats()
        assert all(bytes(view) == then for view, then in kept)
    assert seen == 60 * per_turn == stats.received
    assert stats.dropped_ring == 0
    assert stats.copied, "what was kept for so long had to be copied, and that is counted"
    assert all(bytes(view) == then for view, then in kept)


def _on_host(wire: Wire) -> tuple[int, int]:
    with wire.far.namespace.entered():
        sockets = Path("/proc/thread-self/net/packet").read_text(encoding="ascii").count("\n") - 1
    return sockets, wire.far.promiscuity()


@pytest.mark.parametrize("engine", TAPS)
def test_closing_leaves_nothing_though_views_live_on(wire: Wire, sender: Sender, engine: str) -> None:
    before = _on_host(wire)
    capture = open_on(wire, engine)
    assert _on_host(wire) == (before[0] + 1, before[1] + 1)
    sender.send(frame(number, 300) for number in range(100))
    batch = None
    while batch is None:
        batch = capture.receive(1)
    views = [batch.data(row) for row in range(len(batch))]
    capture.close()
    assert _on_host(wire) == before
    del batch, capture
    gc.collect()
    assert [bytes(view) for view in views] == [frame(number, 300) for number in range(len(views))]


@pytest.mark.parametrize("engine", TAPS)
def test_promiscuous_only_if_asked(wire: Wire, engine: str) -> None:
    with open_on(wire, engine, promisc=False):
        assert wire.far.promiscuity() == 0


@pytest.mark.parametrize("engine", TAPS)
def test_idle_traffic_is_not_kept_waiting(wire: Wire, sender: Sender, engine: str) -> None:
    """One packet now and then reaches the reader within 10 ms, by default."""
    delays = []
    with open_on(wire, engine) as capture:
        for number in range(40):
            time.sleep(0.003 + number % 7 / 1000)
            sent = time.monotonic()
            sender.send([frame(number)])
            batch = None
            while batch is None:
                batch = capture.receive(1)
            delays.append(time.monotonic() - sent)
    assert statistics.median(delays) < 0.010, delays


@pytest.mark.parametrize("engine", TAPS)
def test_waiting_costs_nothing(wire: Wire, sender: Sender, engine: str) -> None:
    """Also while a view of the last packet is kept, which leaves a ring's socket readable."""
    with open_on(wire, engine) as capture:
        sender.send([frame(0)])
        batch = None
        while batch is None:
            batch = capture.receive(1)
        waits, before = capture.stats().waits, time.thread_time()
        assert capture.receive(0.5) is None
        assert time.thread_time() - before < 0.1
        assert capture.stats().waits - waits < 20
        assert len(batch) == 1


# --- filters


@pytest.mark.parametrize("engine", TAPS)
def test_filter_is_in_force_from_the_first_packet(wire: Wire, engine: str) -> None:
    """Under load, while the capture opens."""
    stop = threading.Event()

    def load() -> None:
        with Sender(wire.near) as sender:
            while not stop.is_set():
                sender.send(frame(number, port=80 if number % 10 else 53) for number in range(100))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(5):
            with open_on(wire, engine, filter="udp dst port 53") as capture:
                found = packets(capture, 200, quiet=0)
                assert capture.filtered_by == "kernel"
            assert {bytes(packet.data)[36:38] for packet in found} == {b"\x00\x35"}
    finally:
        stop.set()
        thread.join()


EXPRESSIONS = [
    "vlan",
    "vlan 100",
    "vlan 100 and udp dst port 53",
    "not vlan",
    "vlan and vlan",
    "vlan 7 and vlan 100",
    "udp dst port 53",
    "ip",
    "len <= 64",
    "greater 100",
    "inbound",
    "outbound",
    "ether[12:2] = 0x8100",
    "vlan and udp[2:2] = 80",
    "ether broadcast",
]


@pytest.mark.wire(relay=True)
def test_kernel_and_program_agree(wire: Wire, sender: Sender) -> None:
    """The kernel's verdict and that of our own machine, over tags in metadata and in bytes."""
    frames = [
        frame(number, size, port=port, tags=tags)
        for number, (size, port, tags) in enumerate(
            (size, port, tags)
            for size in (64, 100, 101, 700)
            for port in (53, 80)
            for tags in ((), ((VLAN, 100),), ((VLAN, 101),), ((0x88A8, 7), (VLAN, 100)), ((VLAN, 0x6064),))
        )
    ]
    with open_on(wire, "socket") as everything:
        sender.send(frames)
        seen = packets(everything, len(frames))
    assert len(seen) == len(frames)
    assert {packet.vlan_tpid for packet in seen} == {0, VLAN, 0x88A8}
    with wire.far.namespace.entered():
        ours = {text: wp._core.compile_live_filter(text, wire.far.name) for text in EXPRESSIONS}
    for text, compiled in ours.items():
        expected = [
            number_of(bytes(p.data))
            for p in seen
            if compiled.matches(bytes(p.data), p.origlen, p.vlan_tci, p.vlan_tpid, int(p.flags))
        ]
        with open_on(wire, "socket", filter=text) as capture:
            assert capture.filtered_by == "kernel"
            sender.send(frames)
            found = [number_of(bytes(packet.data)) for packet in packets(capture, len(expected))]
        assert found == expected, text


_DROPS_PRIVILEGES = """
import os, sys, wirepath as wp
with wp.open(sys.argv[1], engine=sys.argv[2], filter="tcp") as capture:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    capture.set_filter("udp dst port 53")
    assert capture.filtered_by == "kernel"
    try:
        capture.set_filter("vlan 5")
    except wp.NoPermissionError as error:
        assert "CAP_NET_RAW" in str(error)
    else:
        raise AssertionError("this needs a privilege")
    assert capture.filter == "udp dst port 53"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="cannot run here: needs other users")
@pytest.mark.parametrize("engine", TAPS)
def test_filter_change_without_privileges(wire: Wire, engine: str) -> None:
    """The metadata that `vlan` asks for needs libpcap to open the interface; everything else goes on."""
    command = [sys.executable, "-c", _DROPS_PRIVILEGES, wire.far.name, engine]
    victim = wire.far.namespace.start(command, stderr=subprocess.PIPE, text=True)
    _, complaint = victim.communicate(timeout=60)
    if "setgroups" in complaint:
        pytest.skip("cannot run here: a user namespace has no other user")
    assert victim.returncode == 0, complaint


# --- direction, any, cooked


@pytest.mark.parametrize("engine", TAPS)
@pytest.mark.parametrize(("direction", "expected"), [("in", [0, 1]), ("out", [10, 11]), ("inout", [0, 1, 10, 11])])
def test_direction(wire: Wire, sender: Sender, engine: str, direction: str, expected: list[int]) -> None:
    with open_on(wire, engine, direction=direction, filter="udp") as capture, Sender(wire.far) as far:
        sender.send([frame(0), frame(1)])
        far.send([frame(10), frame(11)])
        assert sorted(number_of(bytes(p.data)) or 0 for p in packets(capture, len(expected))) == expected


@pytest.mark.parametrize("engine", FANOUT_TAPS)
def test_any(wire: Wire, sender: Sender, engine: str) -> None:
    """Every interface at once, with LINKTYPE_LINUX_SLL2's header before each packet."""
    with open_on(wire, engine, "any", filter="udp dst port 53") as capture:
        assert capture.interfaces[0].linktype == 276
        sender.send(frame(number, port=53 if number % 2 else 80) for number in range(20))
        found = packets(capture, 10)
        index = wire.far.index
    assert [number_of(bytes(packet.data)) for packet in found] == list(range(1, 20, 2))
    for packet in found:
        protocol, ifindex, hardware, kind, length = struct.unpack(">HxxIHBB", bytes(packet.data)[:12])
        assert (protocol, ifindex, hardware, length) == (0x0800, index, 1, 6)
        assert kind == 3  # to another host: it is not our address that the frames carry
        assert packet.origlen == len(packet.data) == 64 - 14 + SLL2_BYTES


@pytest.mark.parametrize("engine", FANOUT_TAPS)
@pytest.mark.parametrize(
    ("expression", "place", "count"),
    [
        ("udp dst port 53 and src host 10.77.0.1", "kernel", 10),
        ("ip[8] = 64 and udp[4:2] = 30", "kernel", 20),
        ("arp or ip6", "kernel", 0),
        ("ether[0:2] = 0x0800", "kernel", 20),  # the header's protocol
        ("udp and len = 70", "pipeline", 20),  # the kernel does not know the length with the header
        ("ether[11] = 6", "pipeline", 20),  # nor the length of the address
    ],
)
def test_filters_of_any(wire: Wire, sender: Sender, engine: str, expression: str, place: str, count: int) -> None:
    with open_on(wire, engine, "any", filter=expression) as capture:
        assert capture.filtered_by == place
        sender.send(frame(number, port=53 if number % 2 else 80) for number in range(20))
        assert len(packets(capture, count)) == count


@pytest.mark.parametrize("engine", TAPS)
@pytest.mark.parametrize(("expression", "matches"), [("ip[ip[0] - 70] = 0", False), ("udp[0] >> ip[9] = 0", True)])
def test_what_the_kernel_means_otherwise(
    wire: Wire, sender: Sender, engine: str, expression: str, matches: bool
) -> None:
    """Its classic machine takes the offset -1 for that of the Ethernet type's second byte, and shifts by 17 & 31."""
    with open_on(wire, engine, filter=expression) as capture:
        assert capture.filtered_by == "pipeline"
        sender.send([frame(7)])
        sender.send([frame(8)])
        assert len(packets(capture, 2 if matches else 0)) == (2 if matches else 0)


@pytest.mark.parametrize("engine", FANOUT_TAPS)
@pytest.mark.parametrize("snaplen", [10, 20, 21, 48])
def test_snaplen_of_any(wire: Wire, sender: Sender, engine: str, snaplen: int) -> None:
    with open_on(wire, engine, "any", filter="udp", snaplen=snaplen) as capture:
        sender.send([frame(7)])
        (packet,) = packets(capture, 1)
    assert (len(packet.data), packet.origlen) == (snaplen, 64 - 14 + SLL2_BYTES)


@pytest.mark.parametrize("engine", TAPS)
def test_loopback_once(wire: Wire, engine: str) -> None:
    """What is sent to lo comes back: it is shown once."""
    command = ["ping", "-c", "3", "-i", "0.01", "-W", "1", "127.0.0.1"]
    for target in ("lo", "any"):
        with open_on(wire, engine, target, filter="icmp[icmptype] = icmp-echo") as capture:
            wire.far.namespace.start(command, stdout=subprocess.DEVNULL).wait()
            assert len(packets(capture, 3)) == 3, target


@pytest.fixture
def tunnel(wire: Wire) -> Iterator[Callable[[bytes], Any]]:
    """An interface without a link layer, tun0; call it to have a packet come in."""
    with wire.far.namespace.entered():
        try:
            device = os.open("/dev/net/tun", os.O_RDWR)
        except OSError as error:
            pytest.skip(f"cannot run here: /dev/net/tun: {error.strerror}")
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    with wire.far.namespace.routes() as routes:
        routes.link("set", index=routes.link_lookup(ifname="tun0")[0], state="up")
    yield lambda data: os.write(device, data)
    os.close(device)


@pytest.mark.parametrize("engine", TAPS)
def test_raw_ip(wire: Wire, tunnel: Callable[[bytes], Any], engine: str) -> None:
    with open_on(wire, engine, "tun0", filter="udp dst port 53") as capture:
        assert capture.interfaces[0].linktype == 101
        for number in range(4):
            tunnel(frame(number, port=53 if number % 2 else 80)[14:])
        found = packets(capture, 2)
    assert [bytes(packet.data) for packet in found] == [frame(number, port=53)[14:] for number in (1, 3)]


# --- what cannot be had is refused, and says what can


@pytest.mark.parametrize("engine", TAPS)
def test_interface_that_is_down(wire: Wire, engine: str) -> None:
    wire.far.set(state="down")
    with pytest.raises(wp.InterfaceGoneError, match="ip link set mon0 up"):
        open_on(wire, engine)


@pytest.mark.parametrize("engine", TAPS)
def test_no_such_interface(wire: Wire, engine: str) -> None:
    with pytest.raises(wp.NotFoundError, match="mon0"):
        open_on(wire, engine, "nosuch0")


@pytest.mark.parametrize("engine", FANOUT_TAPS)
@pytest.mark.parametrize("clock", ["adapter", "adapter_unsynced"])
def test_hardware_timestamps_that_are_not_there(wire: Wire, engine: str, clock: str) -> None:
    with pytest.raises(wp.UnsupportedError, match="timestamps=host"):
        open_on(wire, engine, timestamps=clock)


def test_receive_buffer_is_reported(wire: Wire) -> None:
    with open_on(wire, "socket", buffer_size="1M") as capture:
        assert granted(capture)["buffer_size"] == str(1 << 20)


@pytest.mark.parametrize("size", [0, 1025])
def test_batch_size_is_checked(wire: Wire, size: int) -> None:
    with pytest.raises(wp.OptionError, match="1 to 1024"):
        open_on(wire, "socket", batch_size=size)


@pytest.mark.parametrize("size", [1, 7, 1024])
def test_batch_size(wire: Wire, sender: Sender, size: int) -> None:
    with open_on(wire, "socket", batch_size=size) as capture:
        sender.send(frame(number) for number in range(500))
        assert [number_of(bytes(packet.data)) for packet in packets(capture, 500)] == list(range(500))


# --- libpcap


@pytest.mark.parametrize(("given", "linktype"), [("EN10MB", 1), ("DOCSIS", 143), ("143", 143)])
def test_linktype(wire: Wire, given: str, linktype: int) -> None:
    with open_on(wire, "pcap", linktype=given) as capture:
        assert capture.interfaces[0].linktype == linktype


def test_linktype_of_any(wire: Wire, sender: Sender) -> None:
    for given, header, filtered in (("LINUX_SLL", 16, "udp"), ("LINUX_SLL2", 20, "udp")):
        with open_on(wire, "pcap", "any", linktype=given, filter=filtered) as capture:
            sender.send([frame(3)])
            (packet,) = packets(capture, 1)
            assert bytes(packet.data)[header:] == frame(3)[14:]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"linktype": "FDDI"}, wp.OptionError, r"It offers: EN10MB \(1\)"),
        ({"linktype": "999"}, wp.OptionError, "It offers"),
        ({"timestamp_type": "adapter"}, wp.OptionError, "It offers: host"),
        ({"buffer_size": "2G"}, wp.OptionError, "under 2 GiB"),
        ({"rfmon": True}, wp.UnsupportedError, "no monitor mode"),
    ],
)
def test_libpcap_refuses(wire: Wire, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_on(wire, "pcap", **options)


def test_immediate(wire: Wire, sender: Sender) -> None:
    """Handed over as it comes, though libpcap's timeout would allow far more."""
    with open_on(wire, "pcap", immediate=True, timeout_ms=5000) as capture:
        before = time.monotonic()
        sender.send([frame(1)])
        assert len(packets(capture, 1, quiet=0)) == 1
        assert time.monotonic() - before < 2
