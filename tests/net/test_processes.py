# SPDX-License-Identifier: Apache-2.0
"""Whose packets they are (engine `ebpf`, option `process`): real programs in two namespaces."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from wirepath.bench.lab import LEFT_ADDRESS, RIGHT_ADDRESS, Wire
from wirepath.bench.link import Link

ENGINE = next(engine for engine in wp.engines() if engine.name == "ebpf")
pytestmark = pytest.mark.skipif(not ENGINE.usable, reason=f"cannot run here: {ENGINE.reason}")

LEFT_V6, RIGHT_V6 = "fd77::1", "fd77::2"
SERVER = """
import socket, sys
kind, family, address, port = sys.argv[1:]
s = socket.socket(int(family), int(kind))
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((address, int(port)))
if s.type == socket.SOCK_STREAM:
    s.listen()
    print("ready", flush=True)
    s, _ = s.accept()
else:
    print("ready", flush=True)
data, peer = s.recvfrom(100)
s.sendto(data, peer) if peer else s.sendall(data)
sys.stdin.read()
"""
CLIENT = """
import socket, sys
kind, family, address, port = sys.argv[1:]
s = socket.socket(int(family), int(kind))
s.connect((address, int(port)))
s.sendall(b"hello")
s.settimeout(5)
s.recv(100)
sys.stdin.read()
"""
Program = subprocess.Popen[str]


@contextlib.contextmanager
def program(link: Link, code: str, *arguments: object) -> Iterator[Program]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    started = link.namespace.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextlib.contextmanager
def server(link: Link, kind: int, family: int, address: str, port: int = 5353) -> Iterator[Program]:
    with program(link, SERVER, kind, family, address, port) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started


@pytest.fixture
def hosts(wire: Wire) -> Wire:
    wire.near.add_address(LEFT_ADDRESS, 24)
    wire.far.add_address(RIGHT_ADDRESS, 24)
    for link, address in ((wire.near, LEFT_V6), (wire.far, RIGHT_V6)):
        with link.namespace.entered():
            Path(f"/proc/sys/net/ipv6/conf/{link.name}/disable_ipv6").write_text("0")
            add = ["ip", "-6", "addr", "add", f"{address}/64", "dev", link.name, "nodad"]
            subprocess.run(add, check=True)
    return wire


def open_on(link: Link, **options: Any) -> wp.Capture:
    options = {"engine": "ebpf", "process": True, "filter": "port 5353", **options}
    return wp.open(link.name, netns=link.namespace.path, **options)


def collect(capture: wp.Capture, outbound: int, inbound: int, seconds: float = 10) -> list[wp.Packet]:
    """Until there are as many each way."""
    found: list[wp.Packet] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        batch = capture.receive(0.2)
        found += list(batch) if batch is not None else []
        sent = sum(is_outbound(packet) for packet in found)
        if sent >= outbound and len(found) - sent >= inbound:
            return found
    pytest.fail(f"only {[(packet.flags, packet.pid) for packet in found]} came")


def is_outbound(packet: wp.Packet) -> bool:
    return bool(packet.flags & wp.Flag.OUTBOUND)


def netns_of(process: Program) -> int:
    return Path(f"/proc/{process.pid}/ns/net").stat().st_ino


def pids(packets: list[wp.Packet]) -> set[int | None]:
    return {packet.pid for packet in packets}


FAMILIES = pytest.mark.parametrize(("family", "address"), [(2, RIGHT_ADDRESS), (10, RIGHT_V6)], ids=["ipv4", "ipv6"])
KINDS = pytest.mark.parametrize(("kind", "each_way"), [(1, 3), (2, 1)], ids=["tcp", "udp"])


@FAMILIES
@KINDS
@pytest.mark.parametrize("before", [True, False], ids=["server-first", "capture-first"])
def test_server(hosts: Wire, kind: int, each_way: int, family: int, address: str, before: bool) -> None:
    """Both ways the packets of its socket are its own, also a handshake's, whichever was there first."""
    with contextlib.ExitStack() as stack:
        if before:
            serving = stack.enter_context(server(hosts.far, kind, family, address))
            capture = stack.enter_context(open_on(hosts.far))
        else:
            capture = stack.enter_context(open_on(hosts.far))
            serving = stack.enter_context(server(hosts.far, kind, family, address))
        stack.enter_context(program(hosts.near, CLIENT, kind, family, address, 5353))
        found = collect(capture, each_way - 1 if kind == 1 else 1, each_way)
        assert pids(found) == {serving.pid}
        assert {packet.netns for packet in found} == {netns_of(serving)}


@FAMILIES
@KINDS
def test_client(hosts: Wire, kind: int, each_way: int, family: int, address: str) -> None:
    """From its first packet on, and never the process at the other end of the veth."""
    with (
        server(hosts.far, kind, family, address),
        open_on(hosts.near) as capture,
        program(hosts.near, CLIENT, kind, family, address, 5353) as client,
    ):
        found = collect(capture, each_way, each_way - 1 if kind == 1 else 1)
        assert pids(found) == {client.pid}
        assert {packet.netns for packet in found} == {netns_of(client)}


def test_what_is_told_of_a_process(hosts: Wire) -> None:
    with open_on(hosts.near) as capture, server(hosts.near, 2, 2, LEFT_ADDRESS) as serving:
        processes = capture.processes
        assert processes is not None
        process = processes[serving.pid]
        command = Path(f"/proc/{serving.pid}/comm").read_text().strip()
        cgroup = next(
            line[3:] for line in Path(f"/proc/{serving.pid}/cgroup").read_text().splitlines() if line.startswith("0::")
        )
        assert process.command == command
        assert process.cgroup == cgroup
        assert process.netns == (netns_of(serving),)
        with program(hosts.far, CLIENT, 2, 2, LEFT_ADDRESS, 5353):
            collect(capture, 1, 1)
    assert capture.processes is not None
    assert capture.processes[serving.pid] == process  # also after both have ended


def test_not_for_a_socket_here(hosts: Wire) -> None:
    """A socket that is bound to no address is not meant by packets for another host's address."""
    neighbour = ["ip", "route", "add", "10.78.0.0/24", "via", RIGHT_ADDRESS]
    with hosts.near.namespace.entered():
        subprocess.run(neighbour, check=True)
    send = "import socket; socket.socket(2, 2).sendto(b'x', ('10.78.0.9', 5353))"
    with server(hosts.far, 2, 2, "0.0.0.0") as serving, open_on(hosts.far) as capture:
        with program(hosts.near, send):
            assert pids(collect(capture, 0, 1)) == {0}
        with program(hosts.near, CLIENT, 2, 2, RIGHT_ADDRESS, 5353):
            assert pids(collect(capture, 1, 1)) == {serving.pid}


def test_nobodys_packets(hosts: Wire) -> None:
    """A port that nobody listens on: neither what comes in nor the kernel's answer has a process."""
    send = "import socket; s = socket.socket(2, 1); s.connect_ex(('" + RIGHT_ADDRESS + "', 5353))"
    with open_on(hosts.far) as capture, program(hosts.near, send):
        found = collect(capture, 1, 1)
    assert pids(found) == {0}
    assert {packet.netns for packet in found} == {0}


def test_comments(hosts: Wire, tmp_path: Path) -> None:
    """As tshark reads them, and as we do."""
    path = tmp_path / "out.pcapng"
    command = [sys.executable, "-m", "wirepath", "capture", "-i", hosts.near.name, "--process", "-c", "2"]
    with server(hosts.far, 2, 2, RIGHT_ADDRESS):
        with hosts.near.namespace.entered():
            capturing = subprocess.Popen([*command, "-w", path, "udp port 5353"], stderr=subprocess.PIPE, text=True)
        assert capturing.stderr is not None
        assert "listening on" in capturing.stderr.readline()
        with program(hosts.near, CLIENT, 2, 2, RIGHT_ADDRESS, 5353) as client:
            assert capturing.wait(20) == 0
            expected = f"process {client.pid} {Path(f'/proc/{client.pid}/comm').read_text().strip()} cgroup /"
            netns = f" netns {netns_of(client)}"
        capturing.stderr.close()
    ours = [packet.comments for packet in wp.open(path).packets()]
    read = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", "-e", "frame.comment"], capture_output=True, text=True, check=True
    )
    assert read.stdout.splitlines() == [text for (text,) in ours]
    assert len(ours) == 2
    for (text,) in ours:
        assert text.startswith(expected)
        assert text.endswith(netns)


IN_A_PROCESS_NAMESPACE = """
import socket, subprocess, sys
import wirepath as wp
name, address = sys.argv[1:]
send = "import socket, sys; socket.socket(2, 2).sendto(b'x', (sys.argv[1], 5353)); input()"
with wp.open(name, engine="ebpf", process=True, filter="udp port 5353") as capture:
    sender = subprocess.Popen([sys.executable, "-c", send, address], stdin=subprocess.PIPE)
    batch = capture.receive(10)
    print(sender.pid, *batch.pid, *(pid for pid in batch.pid if capture.processes[pid].command))
    sender.communicate(b"")
"""


def test_numbers_are_those_of_our_process_namespace(hosts: Wire) -> None:
    """As in a container."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", IN_A_PROCESS_NAMESPACE]
    with hosts.near.namespace.start(
        [*unshare, hosts.near.name, RIGHT_ADDRESS], stdout=subprocess.PIPE, text=True
    ) as inside:
        told, _ = inside.communicate(timeout=20)
    child, *seen = told.split()
    assert seen == [child, child]
    assert int(child) < 100


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang compiles the program")
def test_beside_a_users_program(hosts: Wire, tmp_path: Path) -> None:
    """The program's mark and the process are both there."""
    path = tmp_path / "marks.bpf.c"
    path.write_text(
        '#include "wirepath.bpf.h"\n'
        "int wirepath_decide(void *ctx, struct wirepath_packet *packet)\n"
        "{ packet->mark = 7; return WIREPATH_CAPTURE; }\n"
    )
    with open_on(hosts.near, program=str(path)) as capture, server(hosts.near, 2, 2, LEFT_ADDRESS) as serving:
        with program(hosts.far, CLIENT, 2, 2, LEFT_ADDRESS, 5353):
            found = collect(capture, 1, 1)
        assert pids(found) == {serving.pid}
        assert {packet.mark for packet in found} == {7}


def test_without_it_nothing_is_told(hosts: Wire) -> None:
    with open_on(hosts.near, process=False) as capture:
        assert capture.processes is None
        with server(hosts.near, 2, 2, LEFT_ADDRESS), program(hosts.far, CLIENT, 2, 2, LEFT_ADDRESS, 5353):
            assert pids(collect(capture, 1, 1)) == {None}


def test_not_at_xdp(wire: Wire) -> None:
    with pytest.raises(wp.OptionError, match="hook=tc"):
        open_on(wire.far, hook="xdp")


def test_nothing_stays(hosts: Wire) -> None:
    """Neither a program at the root cgroup nor one at tc."""

    def programs() -> int:
        listed = subprocess.run(["bpftool", "prog", "show"], capture_output=True, text=True, check=True).stdout
        return listed.count("name note_maker")

    before = programs()
    with open_on(hosts.near):
        assert programs() == before + 1
    until = time.monotonic() + 5
    while programs() != before and time.monotonic() < until:
        time.sleep(0.05)
    assert programs() == before
