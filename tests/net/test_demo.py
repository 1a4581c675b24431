# SPDX-License-Identifier: Apache-2.0
"""What `make run` shows a stranger."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wirepath as wp
from wirepath import _core
from wirepath.bench.namespace import privileged


def demonstrate(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wirepath.bench.demo", "--output", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(not privileged(), reason="cannot run here: network namespaces need root")
def test_every_engine_ends_with_nothing_unexplained(tmp_path: Path) -> None:
    shown = demonstrate(tmp_path, "--seconds", "1")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stderr == ""
    usable = [engine.name for engine in wp.engines() if engine.usable and engine.target == "interface"]
    for name in usable:
        (row,) = (line for line in shown.stdout.splitlines() if line.startswith(f"│ {name} "))
        sent, received, lost, unexplained = (cell.strip() for cell in row.split("│")[3:7])
        assert unexplained == "0"
        assert int(sent.replace(",", "")) > 1000
        assert lost != "0" or sent == received
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.pcapng" for name in usable)


@pytest.mark.skipif(not privileged(), reason="cannot run here: network namespaces need root")
def test_it_ends_with_the_path_of_one_packet(tmp_path: Path) -> None:
    shown = demonstrate(tmp_path, "--seconds", "0.2").stdout
    _, *path = shown[shown.index("The path of one packet") :].splitlines()
    hooks = {kind for kind, usable, _ in _core.trace_hooks() if usable}
    if "tp_btf" not in hooks:
        assert path[0].startswith("It cannot be followed here: ")
        return
    assert "> 10.77.0.2.7777: UDP, length 22" in path[0]
    places = ["eth0 (netns left)", "port1 (netns switch)", "mon0 (netns monitor)", "eth0 (netns right)"]
    assert all(any(place in line for line in path) for place in places)
    assert any("copied to the program that receives: 64 bytes" in line for line in path), "the capture's copy"
    assert any(line.strip().startswith("= #1 received by") for line in path)


@pytest.mark.skipif(not privileged(), reason="cannot run here: network namespaces need root")
def test_the_traffic_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    """By another program's reading: the protocols, tags and jumbo frames are there, and no checksum is wrong."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    assert demonstrate(tmp_path, "--seconds", "1").returncode == 0
    checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"]
    read = [
        tshark,
        "-r",
        str(tmp_path / "socket.pcapng"),
        *(part for check in checks for part in ("-o", f"{check}:TRUE")),
    ]

    def count(expression: str) -> int:
        found = subprocess.run([*read, "-Y", expression], capture_output=True, text=True, check=True)
        return found.stdout.count("\n")

    present = ("http.request.method == GET", "http.request.method == PUT", "dns.flags.response == 1", "icmp.type == 0")
    for expression in (*present, "tcp.flags == 0x12", "vlan.id == 100", "frame.len > 9000"):
        assert count(expression) > 0, expression
    wrong = "ip.checksum.status == Bad or tcp.checksum.status == Bad or icmp.checksum.status == Bad"
    assert count(f"{wrong} or _ws.malformed") == 0


def test_an_interface_that_is_not_there(tmp_path: Path) -> None:
    shown = demonstrate(tmp_path, "--iface", "no-such", "--seconds", "1")
    assert shown.returncode == 1
    assert "no-such" in shown.stdout
    assert "Traceback" not in shown.stderr
