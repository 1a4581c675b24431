# SPDX-License-Identifier: Apache-2.0
"""The group of commands: what it lists, what it imports, how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

import wirepath as wp
from unit.command_line import COMMAND, wirepath
from wirepath.bench.namespace import privileged
from wirepath.cli.bpfcode import print_program
from wirepath.cli.capture import parse_cpus
from wirepath.cli.commands import COMMANDS
from wirepath.cli.linktypes import describe, number_of

TIMED = (
    ["nic", "lo", "--rates", "--interval"],
    ["nic", "lo", "--watch"],
    ["path", "lo", "--watch", "--interval"],
    ["drops", "lo", "--watch", "--interval"],
    ["drops", "lo", "--seconds"],
    ["trace", "--seconds"],
)
"""Commands that wait for as long as the last word says."""


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_the_list_says_what_the_command_says(row: object) -> None:
    command = import_module(row.module).command
    assert command.get_short_help_str(200) == row.summary
    assert command.name == row.name or command.name == "command"


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    heavy = {"asyncio", "numpy", "pyroute2", "rich", "wirepath.cli.capture", "wirepath.cli.read"}
    program = (
        "import sys; from wirepath.cli.group import run; run(['--help']); "
        f"print('imported:', sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for row in COMMANDS:
        assert f"  {row.name}" in done.stdout
    assert "imported: []" in done.stdout


def test_version() -> None:
    assert wirepath("--version").stdout.startswith("wirepath ")


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["capture", "--nonsense"],
        ["capture", "-c", "0"],
        ["capture", "-W", "3"],
        ["capture", "-C", "many", "-w", "x"],
        ["capture", "-C", "1"],
        ["capture", "-a", "weight:3", "-w", "x"],
        ["capture", "-b", "duration", "-w", "x"],
        ["capture", "--engine", "nonsense"],
        ["capture", "-i", "lo", "-o", "nonsense=1"],
        ["capture", "--cpus", "two"],
        ["capture", "-tttttt", "-i", "lo"],
        ["read"],
        ["engines", "nonsense"],
        *([*command, value] for value in ("nan", "inf", "1e300") for command in TIMED),
    ],
)
def test_mistakes_on_the_command_line_exit_with_2(args: list[str]) -> None:
    if "lo" in args and not privileged():
        pytest.skip("cannot run here: these are found when the interface is opened, which needs CAP_NET_RAW")
    assert wirepath(*args, status=2).stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_a_command_in_order(number: signal.Signals) -> None:
    """Status 0, also of a command that has no way of its own to end: what it has changed is put back."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests ignore it
    watching = subprocess.Popen([*COMMAND, "nic", "lo", "--watch", "0.05", "--json"], stdout=subprocess.PIPE)
    signal.signal(signal.SIGHUP, before)
    with watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(number)
        assert watching.wait(60) == 0


@pytest.mark.parametrize("command", [["nic", "lo", "--watch", "0.05"], ["drops", "--watch", "--interval", "0.05"]])
def test_who_reads_the_output_may_go(command: list[str]) -> None:
    with subprocess.Popen([*COMMAND, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(60) == 0
        assert watching.stderr.read() == b""


def test_errors_exit_with_1_and_say_what_to_do(tmp_path: Path) -> None:
    said = wirepath("capture", "-i", "nonsense", status=1).stderr
    assert "wirepath: 'nonsense' is neither an interface" in said
    assert "capture -D" in said
    assert "there is no file" in wirepath("read", tmp_path / "none.pcap", status=1).stderr
    damaged = tmp_path / "damaged.pcap"
    damaged.write_bytes(b"no capture file at all")
    assert "byte 0" in wirepath("read", damaged, status=1).stderr


def test_a_filter_with_a_mistake_shows_the_place() -> None:
    said = wirepath("capture", "-y", "EN10MB", "-d", "tcp prt 80", status=2).stderr
    assert "tcp prt 80\n" in said
    assert "^" in said


def test_engines_are_those_that_there_are() -> None:
    rows = json.loads(wirepath("engines", "--json").stdout)
    known = wp.engines()
    assert [row["name"] for row in rows] == [engine.name for engine in known]
    for row, engine in zip(rows, known, strict=True):
        assert {"v", "name", "usable", "reason", "takes_packets", "options"} <= set(row)
        assert bool(row["reason"]) != row["usable"]
        assert [option["name"] for option in row["options"]] == [option.name for option in engine.options]
    text = wirepath("engines").stdout
    assert all(engine.name in text for engine in known)
    assert "block_size=" in wirepath("engines", "tpacket_v3").stdout


def test_help_lists_the_engines_own_options() -> None:
    said = wirepath("capture", "--help").stdout
    for engine in wp.engines():
        if engine.target == "interface":
            for option in engine.options:
                assert f"{option.name}=" in said


def test_packets_are_not_written_to_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "capture", "-i", "lo", "-w", "-"], stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert b"the packets would go to the terminal" in done.stderr


@pytest.mark.parametrize("style", [1, 2, 3])
@pytest.mark.parametrize(
    "text", ["", "tcp port 80", "ip[8] < 5 and not vlan", "udp[4:2] - 8 & 3 != 0", "len > 100", "ip6 and udp"]
)
def test_programs_are_printed_as_tcpdump_prints_them(capsys: pytest.CaptureFixture[str], text: str, style: int) -> None:
    command = ["tcpdump", "-y", "EN10MB", "-" + "d" * style, *([text] if text else [])]
    try:
        theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("tcpdump cannot compile without an interface here")
    print_program(wp.compile_filter(text).instructions, style)
    assert capsys.readouterr().out.split() == theirs.split()


def test_words_of_the_field() -> None:
    assert parse_cpus("2,4-6") == [2, 4, 5, 6]
    assert parse_cpus(None) == []
    assert describe(1) == "EN10MB (Ethernet)"
    assert number_of("en10mb") == number_of("DLT_EN10MB") == number_of("1") == 1
    with pytest.raises(click.BadParameter):
        number_of("nonsense")
