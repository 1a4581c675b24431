# SPDX-License-Identifier: Apache-2.0
"""``wirepath filter``: a filter at every stage, and in every machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.capture_files import Record, pcap
from unit.command_line import wirepath
from unit.filter_machines import may_load
from unit.filter_packets import packets
from wirepath.cli import ebpfcode


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "packets.pcap"
    records = [Record(number, data, origlen) for number, (data, origlen) in enumerate(packets(300))]
    file.write_bytes(pcap(records))
    return file


def test_lesson_shows_every_stage() -> None:
    said = wirepath("filter", "tcp", "port", "80").stdout
    assert "tcp port 80" in said
    left = [line for line in said.splitlines() if line.strip().startswith("(000)")]
    assert left == ["    (000) ldh      [12]                                4: r1 = *(u32 *)(r6 +0)"]
    assert "machine code" in said
    assert "af_xdp      xdp " in said


def test_left_is_what_tcpdump_says() -> None:
    said = json.loads(wirepath("filter", "--json", "udp port 53 or ip6").stdout)
    expected = wirepath("capture", "-d", "-y", "EN10MB", "udp port 53 or ip6").stdout.splitlines()
    assert [one["text"] for one in said["cbpf"]] == expected


@pytest.mark.parametrize("hook", ["xdp", "tc", "socket"])
def test_json_has_each_hook(hook: str) -> None:
    may_load()
    said = json.loads(wirepath("filter", "--json", "ip").stdout)
    program = said["ebpf"][hook]
    assert said["v"] == 1
    assert (program["problem"], program["instructions"][-1]["text"]) == ("", "exit")
    assert program["jited_bytes"] is None or program["jited_bytes"] > len(program["instructions"])
    assert len(program["begins"]) == len(said["cbpf"]) + 1


def test_what_cannot_be_ebpf_is_said() -> None:
    said = wirepath("filter", "ip protochain 6").stdout
    assert said.count("it has a loop (protochain)") >= 3


@pytest.mark.parametrize("text", ["tcp port 80", "udp", "vlan 5", "len > 100"])
def test_verify_agrees(capture: Path, text: str) -> None:
    said = json.loads(wirepath("filter", text, "--verify", capture, "--json").stdout)
    assert (said["v"], said["packets"], said["differing"], said["first"]) == (1, 300, 0, None)
    asked = [machine for machine in said["machines"] if not machine["unusable"]]
    assert {"libpcap", "pipeline", "socket"} <= {machine["name"] for machine in asked}
    for machine in asked:
        assert machine["given"] + sum(machine["not_given"].values()) == 300
    assert len({machine["matches"] for machine in asked[:2]}) == 1
    assert 0 < asked[0]["matches"] < 300


def test_verify_says_what_was_not_given(tmp_path: Path) -> None:
    may_load()
    file = tmp_path / "odd.pcap"
    file.write_bytes(pcap([Record(1, bytes(10)), Record(2, bytes(60), 100), Record(3, bytes(60))]))
    machines = {
        machine["name"]: machine
        for machine in json.loads(wirepath("filter", "len > 10", "--verify", file, "--json").stdout)["machines"]
    }
    assert machines["xdp"]["given"] == 1
    assert sorted(machines["xdp"]["not_given"]) == [
        "cut short by the capture, and the filter asks for its length",
        "shorter than the kernel's test takes",
    ]
    assert (machines["libpcap"]["given"], machines["libpcap"]["matches"]) == (3, 2)


def test_verify_ends_with_1_where_machines_differ(tmp_path: Path) -> None:
    """The kernel's classic machine shifts by the lower five bits."""
    file = tmp_path / "shift.pcap"
    file.write_bytes(pcap([Record(1, bytes(60)), Record(2, b"\1\x20" + bytes(58))]))
    said = wirepath("filter", "ether[0] << ether[1] = 1", "--verify", file, status=1).stdout
    assert "THEY DIFFER on 1 packets. The first is number 2" in said
    assert "it matches in socket\n" in said


def test_verify_is_for_files() -> None:
    assert "leave -i out" in wirepath("filter", "ip", "-i", "lo", "--verify", "x", status=2).stderr


def test_words_of_ebpf() -> None:
    code = [(0xBF, 6, 1, 0, 0), (0x2D, 1, 2, 3, 0), (0xDC, 7, 0, 0, 16), (0xB4, 0, 0, 0, 262144), (0x84, 7, 0, 0, 0)]
    assert [ebpfcode.in_words(*one) for one in enumerate(code)] == [
        "r6 = r1",
        "if r1 > r2 goto 5",
        "r7 = be16 r7",
        "w0 = 0x40000",
        "w7 = -w7",
    ]
