# SPDX-License-Identifier: Apache-2.0
"""``wirepath capture`` on a live interface: pipes, signals, rotation, privileges, several interfaces."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.command_line import COMMAND, wirepath
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link

LAST_LINES = ("captured", "received by filter", "dropped by kernel")


@pytest.fixture(autouse=True)
def _hangups_are_heard() -> Iterator[None]:
    """Under nohup the tests ignore SIGHUP, and a capture that they start would go on ignoring it, as it should."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Capturing:
    """A capture that is under way: it has said that it listens."""

    def __init__(self, wire: Wire, *args: object, links: int = 1, interfaces: bool = True, **how: Any) -> None:
        at = ["--netns", wire.far.namespace.path, *(["-i", wire.far.name] if interfaces else [])]
        self.said: list[str] = []
        self._done = threading.Event()
        self._listening = threading.Event()
        self.links = links
        self.process = subprocess.Popen(
            [*COMMAND, "capture", *at, *map(str, args)],
            stdout=how.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )
        threading.Thread(target=self._read, daemon=True).start()
        assert self._listening.wait(20), self.said
        time.sleep(0.1)  # the pipeline starts behind the banner

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.said.append(line.rstrip())
                if sum(text.startswith("listening on ") for text in self.said) == self.links:
                    self._listening.set()
        self._done.set()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, status: int = 0) -> str:
        """Wait for its end: what it printed."""
        out = ""
        too_late = threading.Timer(60, self.process.kill)
        too_late.start()
        if self.process.stdout is not None:
            with self.process.stdout as printed:
                out = printed.read()
        too_late.cancel()
        assert self.process.wait(20) == status, self.said
        assert self._done.wait(5)
        return out

    def counts(self) -> list[int]:
        """The numbers of the closing lines."""
        lines = [line for line in self.said if " packet" in line and line.endswith(LAST_LINES)]
        return [int(line.split()[0]) for line in lines[-3:]]

    def wait_for(self, line: str) -> None:
        deadline = time.monotonic() + 10
        while not any(line in text for text in self.said):
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)


@contextlib.contextmanager
def trickle(link: Link, size: int = 64) -> Iterator[None]:
    """About 200 frames a second, until the end of the block."""
    stop = threading.Event()

    def run() -> None:
        with Sender(link) as sender:
            number = 0
            while not stop.wait(0.005):
                number += sender.send([frame(number, size)])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def send(wire: Wire, count: int, size: int = 64) -> None:
    with Sender(wire.near) as sender:
        assert sender.send(frame(number, size) for number in range(count)) == count


def packets_in(path: Path) -> int:
    return int(wirepath("read", path, "--count").stdout.split()[0])


def test_count_ends_it_and_the_closing_lines_agree(wire: Wire) -> None:
    capturing = Capturing(wire, "-c", 10, "-q")
    send(wire, 10)
    assert len(capturing.end().splitlines()) == 10
    assert capturing.said[0].startswith("wirepath: verbose output suppressed")
    assert (
        capturing.said[1] == f"listening on {wire.far.name}, link-type EN10MB (Ethernet), snapshot length 262144 bytes"
    )
    assert capturing.said[-3:] == [
        "10 packets captured",
        "10 packets received by filter",
        "0 packets dropped by kernel",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_at_once_with_the_statistics(wire: Wire, tmp_path: Path, number: signal.Signals) -> None:
    capturing = Capturing(wire, "-w", tmp_path / "x.pcapng")
    send(wire, 20)
    time.sleep(0.3)
    began = time.monotonic()
    capturing.signal(number)
    capturing.end()
    assert time.monotonic() - began < 2
    assert capturing.counts() == [20, 20, 0]
    assert packets_in(tmp_path / "x.pcapng") == 20


def test_usr1_reports_and_goes_on_usr2_flushes(wire: Wire, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    capturing = Capturing(wire, "-w", path, "--flush", 1000)
    send(wire, 7)
    time.sleep(0.3)
    capturing.signal(signal.SIGUSR1)
    capturing.wait_for("7 packets captured")
    before = path.stat().st_size
    capturing.signal(signal.SIGUSR2)
    deadline = time.monotonic() + 5
    while path.stat().st_size == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert packets_in(path) == 7
    send(wire, 3)
    time.sleep(0.2)
    capturing.signal(signal.SIGINT)
    capturing.end()
    assert capturing.counts() == [10, 10, 0]


def test_live_into_tshark(wire: Wire) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    reading, writing = os.pipe()
    capturing = Capturing(wire, "-w", "-", "udp", stdout=writing)
    os.close(writing)
    fields = ["-T", "fields", "-e", "udp.dstport", "-l"]
    with subprocess.Popen(["tshark", "-r", "-", *fields], stdin=reading, stdout=subprocess.PIPE, text=True) as tshark:
        os.close(reading)
        send(wire, 5)
        assert tshark.stdout is not None
        live = [tshark.stdout.readline().strip() for _ in range(5)]
        assert live == ["9"] * 5
        assert capturing.process.poll() is None  # they came while it ran
        capturing.signal(signal.SIGINT)
        capturing.end()


def test_a_reader_that_goes_away_ends_it_quietly(wire: Wire) -> None:
    reading, writing = os.pipe()
    capturing = Capturing(wire, "-l", stdout=writing)
    os.close(writing)
    os.close(reading)
    with trickle(wire.near):
        capturing.end()
    assert not any("Broken pipe" in line for line in capturing.said)


def test_a_file_every_second_and_no_more_than_three(wire: Wire, tmp_path: Path) -> None:
    began = time.monotonic()
    with trickle(wire.near):
        capturing = Capturing(wire, "-G", 1, "-W", 3, "-w", tmp_path / "at_%s.pcap")
        capturing.end()
    assert 2.5 < time.monotonic() - began < 15
    found = sorted(tmp_path.glob("at_*.pcap"))
    assert len(found) == 3
    assert sum(packets_in(path) for path in found) == capturing.counts()[0] > 100


def test_files_of_a_size_in_a_ring_and_a_command_on_each(wire: Wire, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = tmp_path / "done"
    script.write_text(f'#!/bin/sh\nbasename "$1" >>{log}\n')
    script.chmod(0o755)
    with trickle(wire.near, 1000):
        capturing = Capturing(wire, "-C", "50k", "-W", 2, "-z", script, "-c", 180, "-w", tmp_path / "x.pcap")
        capturing.end()
    assert sorted(path.name for path in tmp_path.glob("x.pcap*")) == ["x.pcap0", "x.pcap1"]
    deadline = time.monotonic() + 5
    while log.read_text().split().count("x.pcap1") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log.read_text().split() == ["x.pcap0", "x.pcap1", "x.pcap0", "x.pcap1"]


def test_privileges_drop_and_rotation_goes_on(wire: Wire) -> None:
    if os.getuid() != 0 or Path("/proc/self/uid_map").read_text().split()[2] == "1":
        pytest.skip("cannot run here: becoming another user needs root of the whole host")
    nobody = pwd.getpwnam("nobody")
    directory = Path("/var/tmp") / f"wirepath-test-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        capturing = Capturing(wire, "-Z", "nobody", "-C", "20k", "-c", 100, "-w", directory / "x.pcap")
        status = Path(f"/proc/{capturing.process.pid}/status").read_text()
        send(wire, 100, 1000)
        capturing.end()
        found = list(directory.glob("x.pcap*"))
        assert len(found) == 5
        assert {path.stat().st_uid for path in found} == {nobody.pw_uid}
        assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
        os.chown(directory, 0, 0)
        said = wirepath(
            "capture",
            "--netns",
            wire.far.namespace.path,
            "-i",
            wire.far.name,
            "-Z",
            "nobody",
            "-w",
            directory / "y",
            status=1,
        ).stderr
        assert "Permission denied" in said
    finally:
        shutil.rmtree(directory)


def test_an_interface_that_vanishes_is_an_error_with_the_counts(wire: Wire, tmp_path: Path) -> None:
    capturing = Capturing(wire, "-w", tmp_path / "x.pcapng", "--stats-json", tmp_path / "stats.json")
    send(wire, 5)
    time.sleep(0.3)
    wire.far.delete()
    capturing.end(status=1)
    assert capturing.counts()[0] == 5
    assert wire.far.name in capturing.said[-1]
    assert json.loads((tmp_path / "stats.json").read_text())["end"] == "fault"
    assert packets_in(tmp_path / "x.pcapng") == 5


def test_a_full_disk_is_an_error_with_the_counts(wire: Wire) -> None:
    capturing = Capturing(wire, "-U", "-w", "/dev/full")
    send(wire, 5)
    capturing.end(status=1)
    assert capturing.counts()[0] == 0
    assert "No space left" in capturing.said[-1]


def test_json_statistics_and_direction(wire: Wire, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    capturing = Capturing(wire, "-Q", "in", "--json", "-x", "-c", 3, "--stats-json", stats, "udp")
    send(wire, 3)
    rows = [json.loads(line) for line in capturing.end().splitlines()]
    assert [bytes.fromhex(row["data"]) for row in rows] == [frame(number) for number in range(3)]
    assert {(row["interface"], row["direction"]) for row in rows} == {(wire.far.name, "in")}
    said = json.loads(stats.read_text())
    assert (said["packets"], said["end"], said["filter"], said["filtered_by"]) == (3, "packets", "udp", "kernel")
    assert said["stats"]["dropped_ring"] == 0


def test_several_interfaces_are_named(wire: Wire) -> None:
    capturing = Capturing(wire, "-i", "lo", "-c", 2, "-q", links=2)
    send(wire, 2)
    assert all(f" {wire.far.name} IP " in line for line in capturing.end().splitlines())


def test_any_names_the_interface_of_each_packet(wire: Wire) -> None:
    capturing = Capturing(wire, "-i", "any", "-c", 2, "-q", "-t", interfaces=False)
    send(wire, 2)
    assert all(line.startswith(f"{wire.far.name:<5} ") for line in capturing.end().splitlines())


LETTERS = [
    (["-B", "4096"], "tpacket_v3"),
    (["--engine", "socket", "-B", "2048"], "socket"),
    (["-j", "host"], "tpacket_v3"),
]


@pytest.mark.parametrize(("letters", "engine"), LETTERS)
def test_letters_find_their_engines_option(wire: Wire, tmp_path: Path, letters: list[str], engine: str) -> None:
    stats = tmp_path / "stats.json"
    capturing = Capturing(wire, *letters, "-c", 1, "-q", "--stats-json", stats)
    send(wire, 1)
    capturing.end()
    assert json.loads(stats.read_text())["engine"] == engine


def test_losses_are_seen_by_the_exit_status(wire: Wire, tmp_path: Path) -> None:
    """A socket buffer of a few packets, and a writer that is stopped: what it lost is in the closing lines."""
    options = ["--engine", "socket", "-o", "buffer_size=4096", "--fail-on-drop"]
    capturing = Capturing(wire, *options, "-w", tmp_path / "x.pcap")
    capturing.signal(signal.SIGSTOP)
    send(wire, 2000, 1000)
    capturing.signal(signal.SIGCONT)
    time.sleep(0.3)
    capturing.signal(signal.SIGINT)
    capturing.end(status=3)
    captured, by_filter, dropped = capturing.counts()
    assert dropped > 0
    assert captured + dropped == by_filter == 2000


def test_lists(wire: Wire) -> None:
    at = ("--netns", wire.far.namespace.path)
    assert f"{wire.far.name} [Up" in wirepath("capture", *at, "-D").stdout
    assert "EN10MB (Ethernet)" in wirepath("capture", *at, "-i", wire.far.name, "-L").stdout
    assert "  host" in wirepath("capture", *at, "-i", wire.far.name, "-J").stdout
