# SPDX-License-Identifier: Apache-2.0
"""`wirepath nic`, on the loopback interface, which every host has."""

from __future__ import annotations

import json
import re
import socket

import pytest
from click.testing import CliRunner

from unit.command_line import wirepath
from wirepath import nic
from wirepath.cli.nic import command

SECTIONS = ["Link", "What changes the packets before a capture sees them", "Programs", "Clocks", "Engines", "To use"]


def test_a_line_for_each_interface() -> None:
    lines = wirepath("nic").stdout.splitlines()
    assert lines[0].split()[:4] == ["name", "driver", "speed", "queues"]
    assert [line.split()[0] for line in lines[1:]] == [name for _, name in sorted(socket.if_nameindex())]


def test_one_that_goes_while_they_are_listed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic, "names", lambda _netns: ["wirepath-gone", "lo"])
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == ["name", "lo"]


def test_the_screen_has_its_sections_in_order() -> None:
    lines = wirepath("nic", "lo").stdout.splitlines()
    assert lines[0].startswith("lo: ")
    headings = [line for line in lines[1:] if line and not line.startswith(" ")]
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    assert "Not told" in headings


def test_each_offload_that_can_be_changed_has_its_command() -> None:
    text = " ".join(wirepath("nic", "lo").stdout.split())
    gro = re.search(r"gro on: .*?ethtool -K lo gro off", text)
    assert gro is not None or "off gro" in text


def test_json_is_versioned_and_complete() -> None:
    told = json.loads(wirepath("nic", "lo", "--json").stdout)
    assert (told["v"], told["name"], told["link"]["hardware"]) == (1, "lo", "loopback")
    assert told["counters"]["rx_packets"] >= 0
    assert {way["engine"] for way in told["engines"]} >= {"tpacket_v3", "socket", "pcap", "af_xdp"}
    assert told["advice"]["traffic"] is None
    assert [row["name"] for row in json.loads(wirepath("nic", "--json").stdout)] == [
        name for _, name in sorted(socket.if_nameindex())
    ]


def test_rates_of_a_link_without_speed_need_one() -> None:
    told = json.loads(wirepath("nic", "lo", "--rates", "--interval", "0.05", "--json").stdout)
    assert told["speed_bps"] is None
    assert told["line_rates"] is None
    assert told["activity"]["interrupts"]["how"] == "unknown"
    text = wirepath("nic", "lo", "--rates", "--interval", "0.05", "--speed", "10G").stdout
    assert "14,880,952" in text
    assert "8,333" in text
    assert "271,739" in text


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["nic", "no-such-if"], 1, "there is no interface no-such-if"),
        (["nic", "lo", "--netns", "no-such-ns"], 1, "no-such-ns"),
        (["nic", "--rates"], 2, "name an interface"),
        (["nic", "lo", "--rates", "--speed", "10"], 2, "is not a speed"),
        (["nic", "--watch", "lo"], 2, "wirepath nic lo --watch"),
        (["nic", "lo", "--for", "nonsense"], 2, "many-small"),
        (["nic", "lo", "--interval", "0"], 2, "interval"),
    ],
)
def test_mistakes(args: list[str], status: int, said: str) -> None:
    assert said in wirepath(*args, status=status).stderr
