# SPDX-License-Identifier: Apache-2.0
"""Packets followed through this kernel, whatever hooks it allows: in the end what became of them must be right."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wirepath as wp
from net.traced import FAR, PORT, Hosts, functions, in_order, me, need_tracing, only_end, programs, traced
from unit.command_line import COMMAND
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.trace import follow, follow_one


@pytest.fixture(autouse=True)
def _need_tracing() -> None:
    need_tracing()


@pytest.fixture
def hosts(wire: Wire) -> Iterator[Hosts]:
    with Hosts(wire) as made:
        yield made


def test_a_received_datagram_is_followed_to_the_program_that_reads_it(hosts: Hosts) -> None:
    receiver, sender = hosts.udp(hosts.far, port=PORT), hosts.udp(hosts.near)

    def exchange() -> None:
        sender.sendto(b"to be received", (FAR, PORT))
        assert receiver.recv(100) == b"to be received"

    (packet,), counts = traced(f"udp port {PORT}", exchange, count=1)
    assert in_order(["net_dev_queue", "net_dev_start_xmit", "netif_receive_skb"], functions(packet))
    end = only_end(packet)
    assert (end.kind, end.event.pid) == ("received", me())
    assert packet.data.endswith(b"to be received")
    assert packet.line.endswith("UDP, length 14")
    assert (counts.packets, counts.lost) == (1, 0)
    first, last = packet.events[0], packet.events[-1]
    assert first.interface == hosts.near.name
    assert first.netns == Path(hosts.near.namespace.path).stat().st_ino
    assert last.netns == Path(hosts.far.namespace.path).stat().st_ino
    assert [event.since_first_ns for event in packet.events] == sorted(event.since_first_ns for event in packet.events)


def test_one_that_a_tap_has_too_keeps_its_identity(hosts: Hosts) -> None:
    receiver, sender = hosts.udp(hosts.far, port=PORT), hosts.udp(hosts.near)
    tap = hosts.tap(hosts.far)

    def exchange() -> None:
        sender.sendto(b"twice", (FAR, PORT))
        assert receiver.recv(100) == b"twice"
        while not tap.recv(100).endswith(b"twice"):
            pass

    packets, counts = traced(f"udp port {PORT}", exchange, count=1)
    assert len(packets) == counts.packets == 1
    assert sorted(end.kind for end in packets[0].ends) == ["received", "received"]
    assert len({event.address for event in packets[0].events}) == 2


def test_without_a_socket(hosts: Hosts) -> None:
    sender = hosts.udp(hosts.near)
    (packet,), _ = traced(f"udp port {PORT}", lambda: sender.sendto(b"nobody", (FAR, PORT)), count=1)
    end = only_end(packet)
    assert (end.kind, end.event.reason) == ("dropped", "NO_SOCKET")
    assert "udp" in end.event.place
    assert "icmp_send" in functions(packet)


def test_dropped_by_netfilter(hosts: Hosts) -> None:
    hosts.drop_by_netfilter(PORT)
    hosts.udp(hosts.far, port=PORT)
    sender = hosts.udp(hosts.near)
    (packet,), _ = traced(f"udp port {PORT}", lambda: sender.sendto(b"no", (FAR, PORT)), count=1)
    end = only_end(packet)
    assert (end.kind, end.event.reason) == ("dropped", "NETFILTER_DROP")


def test_a_full_socket_buffer_names_each_that_it_refused(hosts: Hosts) -> None:
    receiver, sender = hosts.udp(hosts.far, port=PORT, rcvbuf=1), hosts.udp(hosts.near)
    sent, received = 20, 0

    def exchange() -> None:
        for _ in range(sent):
            sender.sendto(bytes(700), (FAR, PORT))

    packets, _ = traced(f"udp port {PORT}", exchange, seconds=2)
    receiver.settimeout(0.1)
    while True:
        try:
            receiver.recv(1000)
            received += 1
        except TimeoutError:
            break
    assert len(packets) == sent
    dropped = [packet for packet in packets if packet.ends[0].kind == "dropped"]
    assert 0 < received < sent
    assert len(dropped) == sent - received
    assert {packet.ends[0].event.reason for packet in dropped} == {"SOCKET_RCVBUFF"}


@pytest.mark.parametrize("text", ["udp port 7001", "udp and not port 7003", "udp[4:2] > 100", "vlan 5", "len > 200"])
def test_the_filter_chooses_what_tcpdump_chooses(wire: Wire, tmp_path: Path, text: str) -> None:
    tags = ((0x8100, 5),) if "vlan" in text else ()
    frames = [
        frame(number, 64 + 20 * number, port=7000 + number % 5, tags=tags if number % 7 == 0 else ())
        for number in range(20)
    ]
    path = tmp_path / "sent.pcap"
    path.write_bytes(_pcap(frames))
    tcpdump = subprocess.run(["tcpdump", "-r", path, "-w", "-", text], check=True, capture_output=True)
    chosen = tmp_path / "chosen.pcap"
    chosen.write_bytes(tcpdump.stdout)
    expected = [packet.data[:128] for packet in wp.open(chosen).packets()]
    assert 0 < len(expected) < len(frames)
    with Sender(wire.near) as sender:
        packets, _ = traced(f"{text} and portrange 7000-7004", lambda: sender.send(frames), seconds=1.5)
    assert [packet.data for packet in sorted(packets, key=lambda packet: packet.number)] == expected


def _pcap(frames: list[bytes]) -> bytes:
    head = b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(8) + (65535).to_bytes(4, "little") + b"\x01\0\0\0"
    return head + b"".join(bytes(8) + len(data).to_bytes(4, "little") * 2 + data for data in frames)


def test_addresses_that_the_kernel_uses_again_do_not_join_packets(wire: Wire) -> None:
    """Thousands of frames through a few addresses: each is a packet of its own, seen once at each place."""
    count = 1000
    with Sender(wire.near) as sender:
        packets, counts = traced(
            "udp port 7009", lambda: sender.send(frame(n, port=7009) for n in range(count)), seconds=4
        )
    assert counts.lost == 0
    assert len(packets) == counts.packets == count
    assert len({packet.data for packet in packets}) == count
    assert {functions(packet).count("netif_receive_skb") for packet in packets} == {1}
    assert {packet.ends[0].kind for packet in packets} == {"dropped"}


def test_what_is_freed_in_silence_does_not_join_packets(hosts: Hosts) -> None:
    """Acknowledgements: the kernel frees them without a tracepoint, and uses their addresses for the next ones."""
    with hosts.far.namespace.entered():
        server = socket.create_server((FAR, PORT))
    with hosts.near.namespace.entered():
        client = socket.socket()

    def exchange() -> None:
        client.connect((FAR, PORT))
        with server.accept()[0] as accepted:
            for _ in range(200):
                client.sendall(b"question")
                accepted.recv(100)
                accepted.sendall(b"answer")
                client.recv(100)
        client.close()

    before = hosts.far.counters()
    with server, client:
        packets, counts = traced(f"tcp port {PORT}", exchange, seconds=5)
    after = hosts.far.counters()
    passed = after.rx_packets + after.tx_packets - before.rx_packets - before.tx_packets
    assert counts.lost == 0
    assert len(packets) == counts.packets == passed > 400
    assert {functions(packet).count("netif_receive_skb") for packet in packets} == {1}


def test_lost_events_are_counted(wire: Wire) -> None:
    with follow("udp port 7009", ring_bytes=4096) as trace, Sender(wire.near) as sender:
        sender.send(frame(number, port=7009) for number in range(500))
        time.sleep(0.2)
        events, _ = trace.read(0.2)
        counts = trace.counts
    assert counts.packets == 500
    assert counts.lost > 1000
    assert 0 < len(events) < 4096 // 100


def test_a_limit_is_kept_in_the_kernel(wire: Wire) -> None:
    with Sender(wire.near) as sender:
        packets, counts = traced("udp port 7009", lambda: sender.send(frame(n, port=7009) for n in range(50)), count=3)
    assert len(packets) == counts.packets == 3


def test_follow_one(hosts: Hosts) -> None:
    sender = hosts.udp(hosts.near)
    packet, notes = follow_one("udp port 5556", trigger=lambda: sender.sendto(b"one", (FAR, 5556)))
    assert packet is not None
    assert packet.ends[0].event.reason == "NO_SOCKET"
    assert all(isinstance(note, str) for note in notes)
    assert follow_one("udp port 5557", seconds=0.2)[0] is None


class Tracing:
    """`wirepath trace`, under way."""

    def __init__(self, *arguments: object) -> None:
        command = [*COMMAND, "trace", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said = []
        while not self.said or not self.said[-1].startswith("following packets"):
            line = self.process.stderr.readline()
            assert line, self.said
            self.said.append(line)


def test_killing_it_leaves_no_program() -> None:
    before = programs()
    tracing = Tracing("udp port 1")
    assert programs() > before
    tracing.process.kill()
    tracing.process.wait()
    until = time.monotonic() + 10
    while programs() != before and time.monotonic() < until:
        time.sleep(0.05)
    assert programs() == before
    tracing.process.communicate()


def test_interrupted_it_shows_what_it_saw(hosts: Hosts, tmp_path: Path) -> None:
    sender, written = hosts.udp(hosts.near), tmp_path / "traced.pcapng"
    tracing = Tracing("--json", "--pcapng", written, f"udp port {PORT}")
    sender.sendto(b"nobody", (FAR, PORT))
    time.sleep(0.5)
    tracing.process.send_signal(signal.SIGINT)
    out, err = tracing.process.communicate(timeout=20)
    assert tracing.process.returncode == 0
    assert err.splitlines()[-1] == "1 packet followed, 1 matched"
    (shown,) = map(json.loads, out.splitlines())
    assert shown["v"] == 1
    assert shown["ends"][0]["reason"] == "NO_SOCKET"
    (packet,) = wp.open(written).packets()
    assert len(packet.comments) == len(shown["events"]) + 1
    assert packet.comments[-1].startswith("= DROPPED: NO_SOCKET in ")
    fields = ["tshark", "-r", str(written), "-T", "fields", "-e", "frame.comment"]
    assert "DROPPED: NO_SOCKET" in subprocess.run(fields, check=True, capture_output=True, text=True).stdout
