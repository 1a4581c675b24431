# SPDX-License-Identifier: Apache-2.0
"""Filters over real traffic, captured and given to every machine."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import wirepath as wp
from net.taps import needs_sockets
from net.traced import FAR, NEAR, PORT, Hosts
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.filter import verify

EXPECTED = {
    "icmp[icmptype] = icmp-echo": 3,
    f"udp port {PORT} and greater 1000": 1,
    f"tcp dst port {PORT} and tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn": 1,
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420": 1,
    f"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) = 9 and tcp and src host {NEAR}": 1,
    "vlan 100 and udp": 1,
    "not ip and not arp and not vlan": 0,
}


@pytest.fixture
def traffic(wire: Wire, tmp_path: Path) -> Path:
    """A conversation by ping, UDP and TCP, and a tagged frame."""
    file = tmp_path / "traffic.pcapng"
    with Hosts(wire) as hosts, wp.open(wire.far.name, netns=wire.far.namespace.path, engine="socket") as capture:
        run = threading.Thread(target=wp.run, args=(capture, wp.PcapngWriter(file)), kwargs={"seconds": 30})
        run.start()
        hosts.run(wire.near, "ping", "-c", "3", "-i", "0.2", FAR)
        far = hosts.udp(wire.far, port=PORT)
        hosts.udp(wire.near).sendto(bytes(1200), (FAR, PORT))
        assert far.recv(2000) == bytes(1200)
        _ask_by_tcp(wire)
        with Sender(wire.near) as sender:
            sender.send([frame(0, tags=((0x8100, 100),))])
        while capture.stats().received < 20:  # the last of the closing handshake
            with Sender(wire.near) as sender:
                sender.send([frame(1)])
        capture.interrupt()
        run.join()
    return file


def _ask_by_tcp(wire: Wire) -> None:
    with ExitStack() as made:
        with wire.far.namespace.entered():
            listener = made.enter_context(socket.create_server((FAR, PORT)))
        with wire.near.namespace.entered():
            client = made.enter_context(socket.create_connection((FAR, PORT), timeout=10))
        client.sendall(b"GET /x\r\n\n")
        served = made.enter_context(listener.accept()[0])
        assert served.recv(100) == b"GET /x\r\n\n"


@needs_sockets
def test_all_machines_agree_on_real_traffic(traffic: Path) -> None:
    for text, count in EXPECTED.items():
        found = verify(text, traffic)
        assert (found.differing, found.first) == (0, None), text
        for machine in found.machines:
            if not machine.unusable and not machine.not_given:
                assert machine.matches == count, (text, machine)
