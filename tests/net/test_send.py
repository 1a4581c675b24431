# SPDX-License-Identifier: Apache-2.0
"""``wirepath send``, and that made traffic is what other programs take for valid."""

from __future__ import annotations

import json
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from net.taps import needs_sockets
from wirepath.bench.frames import checksum, frame
from wirepath.bench.lab import LEFT_ADDRESS, RIGHT_ADDRESS, Wire

pytestmark = needs_sockets
_FLOW = f"udp {LEFT_ADDRESS}:1000-1009 > {RIGHT_ADDRESS}:53"


@pytest.fixture
def hosts(host: Wire) -> Wire:
    """The wire, both ends with an address."""
    host.near.add_address(LEFT_ADDRESS, 24)
    return host


def command(wire: Wire, *words: str) -> list[str]:
    place = ["-i", wire.near.name, "--netns", wire.near.namespace.path]
    return [sys.executable, "-m", "wirepath", "send", *place, *words]


def run(wire: Wire, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(wire, *words), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def capture(hosts: Wire) -> Iterator[wp.Capture]:
    with wp.open(hosts.far.name, engine="tpacket_v3", netns=hosts.far.namespace.path, filter="tcp or udp") as made:
        yield made


def arrived(capture: wp.Capture, count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count and (batch := capture.receive(5)) is not None:
        frames += [bytes(packet.data) for packet in batch]
    return frames


def _sum(frame: bytes) -> tuple[int, int]:
    """What is left of the IP header's and the transport's checksum: 0 if they are right."""
    if frame[12:14] == b"\x86\xdd":
        header, payload = 0, frame[54:]
        pseudo = frame[22:54] + struct.pack(">IHBB", len(payload), 0, 0, frame[20])
    else:
        header, payload = checksum(frame[14:34]), frame[34:]
        pseudo = frame[26:34] + struct.pack(">BBH", 0, frame[23], len(payload))
    return header, checksum(pseudo + payload + b"\0" * (len(payload) % 2))


@pytest.mark.parametrize(
    "flow",
    [
        "udp 10.0.0.0/30:1-3 > 10.9.0.254-10.9.1.2:53-54",
        "tcp syn 10.0.0.1:65530-65535 > 10.0.0.2:80",
        "udp [fd00::1]:7-9 > [fd00::ffff:fffe]:53",
        "tcp [fd00::/126]:1-2 > [fd00::2]:443",
    ],
)
def test_made_traffic_is_valid(capture: wp.Capture, hosts: Wire, flow: str) -> None:
    """Checksums are right, in each size each combination comes once, and MACs are those asked for."""
    sizes = (74, 75, 91, 600, 1514)
    made = wp.parse_flow(flow)
    combinations = made.source_count * made.source_port_count * made.target_count * made.target_port_count
    sent = wp.send(
        made,
        hosts.near.name,
        netns=hosts.near.namespace.path,
        sizes=sizes,
        source_mac=b"\2abcde",
        target_mac=b"\2fghij",
    )
    frames = arrived(capture, sent.packets)
    assert sent.packets == len(frames) == combinations * len(sizes)
    assert {frame[:12] for frame in frames} == {b"\2fghij\2abcde"}
    assert {_sum(frame) for frame in frames} == {(0, 0)}
    at = 22 if made.source.version == 6 else 26
    assert len({(len(frame), frame[at : at + (36 if at == 22 else 12)]) for frame in frames}) == len(frames)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="cannot run here: tcpdump is not installed")
def test_tcpdump_agrees(hosts: Wire, tmp_path: Path) -> None:
    """It receives what was sent, in order, and finds nothing bad in it."""
    path = tmp_path / "seen.pcap"
    words = ["tcpdump", "-i", hosts.far.name, "-U", "-w", str(path), "--immediate-mode", "-c", "130", "udp port 53"]
    with hosts.far.namespace.start(words, stderr=subprocess.PIPE, text=True) as watcher:
        while "listening" not in watcher.stderr.readline():
            pass
        assert run(hosts, "--flow", _FLOW, "--size", "64,imix").returncode == 0
        assert watcher.wait(20) == 0
    text = subprocess.run(["tcpdump", "-nvvr", path], capture_output=True, text=True, check=True).stdout
    assert text.count("udp sum ok") == 130
    assert "bad" not in text
    ports = [int(port) for port in re.findall(rf"{re.escape(LEFT_ADDRESS)}\.(\d+) >", text)]
    assert ports == [1000 + number % 10 for number in range(130)]


def test_file_and_summary(capture: wp.Capture, hosts: Wire, tmp_path: Path) -> None:
    capture.set_filter("udp")  # and not the question for the neighbour's address
    path = str(tmp_path / "made.pcapng")
    run(hosts, "--flow", _FLOW, "--pps", "2k", "-c", "50")
    wp.run(capture, wp.PcapngWriter(path), count=50)
    done = run(hosts, path, "src port 1003 or src port 1004", "--speed", "2x", "--loop", "3", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {key: summary[key] for key in ("v", "end", "packets", "passes", "asked")} == {
        "v": 1,
        "end": "end_of_file",
        "packets": 30,
        "passes": 3,
        "asked": "2 times as fast as recorded",
    }
    assert summary["stats"]["queued"] == summary["stats"]["completed"] == 30
    assert len(arrived(capture, 30)) == 30


def test_what_is_too_big_is_said(hosts: Wire, tmp_path: Path) -> None:
    hosts.near.set(mtu=1500)
    path = tmp_path / "big.pcapng"
    writer = wp.PcapngWriter(str(path))
    writer.write(wp._core.batch_of([("made", 1)], [(n, frame(n, 1510 + n), 1510 + n, 0, 0, 0, []) for n in range(8)]))
    writer.close()
    done = run(hosts, str(path), "--top")
    assert done.returncode == 1
    assert "5 packets sent" in done.stderr
    assert "3 packets longer than the MTU of gen0 (1500) allows: not sent" in done.stderr
    assert "3 packets not sent" in done.stderr


def test_rates_are_printed(hosts: Wire) -> None:
    done = run(hosts, "--flow", _FLOW, "--pps", "1000", "--duration", "0.3")
    assert done.returncode == 0
    assert re.search(r"; asked for 1 kpackets/s: [\d.]+ % of it", done.stderr), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(hosts: Wire, number: signal.Signals) -> None:
    with subprocess.Popen(command(hosts, "--flow", _FLOW, "--pps", "100", "--loop", "0"), stderr=subprocess.PIPE) as it:
        assert it.stderr is not None
        assert b"sending" in it.stderr.readline()
        time.sleep(0.5)
        it.send_signal(number)
        assert it.wait(5) == 0
        assert b"sent, " in it.stderr.read()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["nothing-there.pcap"], 1, "there is no file"),
        (["--flow", _FLOW, "a.pcap"], 2, "give one of them"),
        ([], 2, "name a capture file"),
        (["--flow", _FLOW, "--pps", "1", "--top"], 2, "give one"),
        (["--flow", _FLOW, "--pps", "-3"], 2, "above 0"),
        (["--flow", _FLOW, "--speed", "2x"], 2, "no recorded speed"),
        (["--flow", _FLOW, "--engine", "replay"], 1, "These can: "),
        (["--flow", _FLOW, "--size", "20"], 2, "cannot have 20 bytes"),
        (["--flow", "udp 10.77.0.1:1 > 10.77.0.99:1"], 1, "--target-mac"),
        (["--flow", "udp 10.77.0.1:1 > 192.0.2.1:1"], 1, "--target-mac"),
    ],
)
def test_mistakes(hosts: Wire, words: list[str], status: int, said: str) -> None:
    done = run(hosts, *words)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr


def test_default_route_is_refused(hosts: Wire) -> None:
    with hosts.near.namespace.entered():
        subprocess.run(["ip", "route", "add", "default", "via", RIGHT_ADDRESS], check=True)
    options: dict[str, Any] = {"netns": hosts.near.namespace.path}
    with pytest.raises(wp.RefusedError, match=r"default route.*--force"):
        wp.open_sender(hosts.near.name, **options)
    assert run(hosts, "--flow", _FLOW).returncode == 1
    assert run(hosts, "--flow", _FLOW, "--force").returncode == 0


def test_gateway_is_asked_for_its_address(capture: wp.Capture, hosts: Wire) -> None:
    with hosts.near.namespace.entered():
        subprocess.run(["ip", "route", "add", "198.51.100.0/24", "via", RIGHT_ADDRESS], check=True)
    assert run(hosts, "--flow", f"udp {LEFT_ADDRESS}:1 > 198.51.100.7:5").returncode == 0
    (made,) = [frame for frame in arrived(capture, 2) if frame[36:38] == struct.pack(">H", 5)]
    assert made[:12] == hosts.far.mac + hosts.near.mac
