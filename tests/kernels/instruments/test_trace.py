# SPDX-License-Identifier: Apache-2.0
"""Packets followed where functions can be hooked: from a NIC's driver to the program that receives, or to their end."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from net.traced import FAR, PORT, Hosts, functions, in_order, me, only_end, programs, traced
from unit.command_line import wirepath
from wirepath import _core
from wirepath.bench.frames import checksum
from wirepath.bench.lab import Wire
from wirepath.trace import TracedPacket, follow

FROM_DRIVER = [
    "napi_gro_receive_entry",
    "netif_receive_skb",
    "ip_rcv_core",
    "ip_local_deliver",
    "ip_protocol_deliver_rcu",
]


@pytest.fixture
def hosts(wire: Wire) -> Iterator[Hosts]:
    with Hosts(wire) as made:
        yield made


def ping(hosts: Hosts) -> None:
    """An echo request from the near end, and the reply that this process reads."""
    with hosts.near.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(20)
        body = struct.pack(">HH", me() & 0xFFFF, 1) + bytes(range(56))
        head = struct.pack(">BBH", 8, 0, checksum(b"\x08\0\0\0" + body))
        raw.sendto(head + body, (FAR, 0))
        while raw.recv(200)[20] != 0:
            pass


def at_far_end(packets: list[TracedPacket], hosts: Hosts) -> TracedPacket:
    """The one that came in there: a NIC makes another skb of it, so that it is another packet."""
    inode = Path(hosts.far.namespace.path).stat().st_ino
    (packet,) = [p for p in packets if any(event.netns == inode and event.interface for event in p.events)]
    return packet


def through_xdp(packets: list[TracedPacket]) -> TracedPacket:
    """The one that an XDP program had. A veth's native XDP makes another skb of most packets, too: they are two."""
    (packet,) = [p for p in packets if "XDP program" in functions(p)]
    return packet


def through_a_nic(hosts: Hosts) -> bool:
    return hosts.far.driver != "veth"


def test_a_ping_is_followed_from_driver_to_socket(hosts: Hosts) -> None:
    packets, counts = traced("icmp", lambda: ping(hosts), seconds=4)
    assert counts.lost == 0
    assert len(packets) == (4 if through_a_nic(hosts) else 2)
    replies = [p for p in packets if "ICMP echo reply" in p.line and "received" in {end.kind for end in p.ends}]
    (reply,) = replies
    seen = functions(reply)
    expected = [*FROM_DRIVER, "raw_local_deliver", "icmp_rcv"] if through_a_nic(hosts) else ["ip_rcv_core", "icmp_rcv"]
    assert in_order(expected, seen), seen
    assert "skb_copy_datagram_iovec" in seen
    received = next(end for end in reply.ends if end.kind == "received")
    assert received.event.pid == me()
    assert received.event.context == "process"
    if through_a_nic(hosts):
        assert reply.events[0].context == "softirq"
        assert reply.events[0].interface == hosts.near.name


def test_one_that_netfilter_drops_says_so(hosts: Hosts) -> None:
    hosts.drop_by_netfilter(PORT)
    sender = hosts.udp(hosts.near)
    packets, _ = traced(f"udp port {PORT}", lambda: sender.sendto(b"no", (FAR, PORT)), seconds=4)
    packet = at_far_end(packets, hosts)
    assert in_order(
        ["netif_receive_skb", "ip_rcv_core", "ip_local_deliver", "nf_hook_slow", "kfree_skb"], functions(packet)
    )
    end = only_end(packet)
    assert (end.kind, end.event.reason) == ("dropped", "NETFILTER_DROP")
    assert end.event.place.startswith(("nf_", "nft_"))


def test_one_that_a_tap_has_too_keeps_its_identity(hosts: Hosts) -> None:
    receiver, sender, tap = hosts.udp(hosts.far, port=PORT), hosts.udp(hosts.near), hosts.tap(hosts.far)

    def exchange() -> None:
        sender.sendto(b"twice", (FAR, PORT))
        assert receiver.recv(100) == b"twice"
        while b"twice" not in tap.recv(100):
            pass

    packets, _ = traced(f"udp port {PORT}", exchange, seconds=4)
    packet = at_far_end(packets, hosts)
    seen = functions(packet)
    assert in_order(["netif_receive_skb", "packet_rcv", "skb_clone"], seen), seen
    assert in_order(["udp_rcv", "skb_consume_udp"], seen), seen
    assert [end.kind for end in packet.ends].count("received") == 2
    assert len(packets) == (2 if through_a_nic(hosts) else 1)


def test_tcp_is_followed_to_the_program_that_reads_it(hosts: Hosts) -> None:
    def exchange() -> None:
        with hosts.far.namespace.entered():
            server = socket.create_server((FAR, PORT))
        with hosts.near.namespace.entered():
            client = socket.create_connection((FAR, PORT), timeout=20)
        with server, client, server.accept()[0] as accepted:
            client.sendall(b"over TCP")
            assert accepted.recv(100) == b"over TCP"

    packets, counts = traced(f"tcp port {PORT}", exchange, seconds=5)
    assert counts.lost == 0
    (packet,) = [p for p in packets if in_order(["tcp_v4_rcv", "skb_copy_datagram_iovec"], functions(p))]
    if through_a_nic(hosts):  # a veth hands over what TCP sent, whose data is in fragments, which trace does not read
        assert packet.data.endswith(b"over TCP")
    assert in_order(["ip_rcv_core", "tcp_v4_rcv", "tcp_rcv_established", "skb_copy_datagram_iovec"], functions(packet))
    assert "received" in {end.kind for end in packet.ends}


def test_all_functions(hosts: Hosts) -> None:
    kinds = {kind: (usable, reason) for kind, usable, reason in _core.trace_hooks()}
    if not kinds["kprobe_multi"][0]:
        pytest.skip(f"cannot run here: kprobe_multi: {kinds['kprobe_multi'][1]}")
    sender = hosts.udp(hosts.near)
    with follow(f"udp port {PORT}", all_functions=True, seconds=4) as trace:
        assert sum(hook.group == "all" and not hook.reason for hook in trace.hooks) > 500
        sender.sendto(b"nobody", (FAR, PORT))
        packets = list(trace)
        counts = trace.counts
    packet = at_far_end(packets, hosts)
    assert (only_end(packet).kind, only_end(packet).event.reason) == ("dropped", "NO_SOCKET")
    assert len([event for event in packet.events if event.hook.group == "all"]) > 5
    assert counts.packets == len(packets) == (2 if through_a_nic(hosts) else 1), "an skb that is freed is no packet"


XDP_PROGRAMS = """
struct xdp_md { unsigned data; };
__attribute__((section("xdp/pass"), used)) int passes_it(struct xdp_md* c) { return 2; }
__attribute__((section("xdp/drop"), used)) int drops_it(struct xdp_md* c) { return 1; }
"""


@pytest.fixture
def xdp(hosts: Hosts, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Attaches a program at the far end."""
    source, built = tmp_path / "xdp.c", tmp_path / "xdp.o"
    source.write_text(XDP_PROGRAMS)
    subprocess.run(["clang", "-g", "-O2", "-target", "bpf", "-c", source, "-o", built], check=True)
    far = hosts.far.name
    modes = {"native": "xdpdrv", "generic": "xdpgeneric"}

    def attach(mode: str, program: str) -> None:
        try:
            hosts.run(hosts.far, "ip", "link", "set", "dev", far, modes[mode], "obj", str(built), "sec", program)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot run here: {hosts.far.driver}, XDP {mode}: {error.stderr.strip().splitlines()[-1]}")
        time.sleep(4)  # some drivers reset the link

    yield attach
    for mode in modes.values():
        hosts.run(hosts.far, "ip", "link", "set", "dev", far, mode, "off")


@pytest.mark.wire(mtu=1500)
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_a_packet_is_the_same_before_and_after_xdp(hosts: Hosts, xdp: Callable[[str, str], None], mode: str) -> None:
    xdp(mode, "xdp/pass")
    sender = hosts.udp(hosts.near)
    packets, counts = traced(f"udp port {PORT}", lambda: sender.sendto(b"on and on", (FAR, PORT)), seconds=4)
    packet = through_xdp(packets)
    seen = functions(packet)
    assert in_order(["XDP program", "XDP program", "ip_rcv_core", "udp_rcv", "kfree_skb"], seen), seen
    assert [event.place for event in packet.events if event.hook.function == "XDP program"] == ["passes_it"] * 2
    assert counts.packets == (2 if through_a_nic(hosts) or mode == "native" else 1)
    assert packet.ends[-1].event.reason == "NO_SOCKET"


@pytest.mark.wire(mtu=1500)
def test_one_that_xdp_drops_says_so(hosts: Hosts, xdp: Callable[[str, str], None]) -> None:
    xdp("native", "xdp/drop")
    sender = hosts.udp(hosts.near)
    packets, _ = traced(f"udp port {PORT}", lambda: sender.sendto(b"no", (FAR, PORT)), seconds=4)
    end = through_xdp(packets).ends[-1]
    assert (end.kind, end.event.reason, end.event.place) == ("dropped", "XDP_DROP", "drops_it")


def test_no_program_stays() -> None:
    before = programs()
    assert "ip_rcv" in wirepath("trace", "--list", "udp port 1").stdout
    until = time.monotonic() + 20
    while programs() != before and time.monotonic() < until:
        time.sleep(0.1)
    assert programs() == before
