# SPDX-License-Identifier: Apache-2.0
"""``wirepath read`` and ``wirepath info``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from unit import capture_files as cf
from unit.command_line import COMMAND, wirepath
from unit.test_decode import NOON, QUESTION, dns, ether, ipv4, tcp, udp

UDP = ether(0x0800, ipv4(17, udp(b"x" * 20)))
TCP = ether(0x0800, ipv4(6, tcp(2, 1, 0)))
UTC = {**os.environ, "TZ": "UTC"}
MILLISECOND = 1_000_000


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Ten packets, a millisecond apart: UDP and TCP in turn."""
    path = tmp_path / "mixed.pcap"
    path.write_bytes(
        cf.pcap([cf.Record(NOON + n * MILLISECOND, (UDP, TCP)[n % 2]) for n in range(10)], magic=cf.PCAP_NS)
    )
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Five packets between those of `mixed`, as pcapng."""
    path = tmp_path / "other.pcapng"
    plain = tmp_path / "other.pcap"
    query = ether(0x0800, ipv4(17, udp(dns(9, 0x0100, (1, 0, 0, 0), QUESTION), ports=(4000, 53))))
    plain.write_bytes(cf.pcap([cf.Record(NOON + n * MILLISECOND + 500_000, query) for n in range(5)], magic=cf.PCAP_NS))
    wirepath("read", plain, "-w", path)
    return path


def test_lines(mixed: Path) -> None:
    done = wirepath("read", mixed, "-c", 2, env=UTC)
    assert done.stdout.splitlines() == [
        "12:00:00.123456 IP 10.0.0.1.4000 > 10.0.0.2.5000: UDP, length 20",
        "12:00:00.124456 IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 1, win 502, length 0",
    ]
    assert done.stderr == f"reading from file {mixed}, link-type EN10MB (Ethernet)\n"


def test_a_cluster_of_letters(mixed: Path) -> None:
    done = wirepath("read", "-nnvvXSttttc1", mixed, env=UTC)
    assert done.stdout.startswith("2026-11-23 12:00:00.123456 IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF]")
    assert "\n\t0x0000:  4500 0030" in done.stdout


@pytest.mark.parametrize("args", [["udp"], ["udp", "port", "5000"], ["-r"]])
def test_words_behind_files_are_the_filter(mixed: Path, args: list[str]) -> None:
    if args == ["-r"]:
        done = wirepath("read", "udp", "-r", mixed, "--count")
    else:
        done = wirepath("read", mixed, *args, "--count")
    assert done.stdout == "5 packets\n"


def test_a_filter_from_a_file(mixed: Path, tmp_path: Path) -> None:
    words = tmp_path / "filter"
    words.write_text("tcp  # handshakes\n  and port 80\n")
    assert wirepath("read", mixed, "-F", words, "--count").stdout == "5 packets\n"


def test_a_file_that_is_not_there_is_not_taken_for_a_filter(mixed: Path) -> None:
    assert "no file 'more.pcap'" in wirepath("read", mixed, "more.pcap", status=1).stderr


def test_files_are_merged_by_time(mixed: Path, other: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged.pcapng"
    wirepath("read", mixed, other, "-w", merged)
    times = [json.loads(line)["ts"] for line in wirepath("read", merged, "--json").stdout.splitlines()]
    assert len(times) == 15
    assert times == sorted(times)


@pytest.mark.parametrize(("name", "magic"), [("x.pcap", cf.PCAP_NS), ("x.pcapng", cf.SECTION), ("x", cf.SECTION)])
def test_the_extension_chooses_the_format(mixed: Path, tmp_path: Path, name: str, magic: int) -> None:
    wirepath("read", mixed, "-w", tmp_path / name)
    assert int.from_bytes((tmp_path / name).read_bytes()[:4], "little") == magic


@pytest.mark.parametrize("precision", [["--micro"], ["--time-stamp-precision=micro"]])
def test_microseconds_when_asked(mixed: Path, tmp_path: Path, precision: list[str]) -> None:
    wirepath("read", mixed, *precision, "-w", tmp_path / "x.pcap")
    assert int.from_bytes((tmp_path / "x.pcap").read_bytes()[:4], "little") == cf.PCAP_US


def test_nanoseconds_are_printed_when_asked(mixed: Path) -> None:
    assert wirepath("read", mixed, "-c1", "--nano", env=UTC).stdout.startswith("12:00:00.123456789 ")


def test_streams(mixed: Path) -> None:
    piped = wirepath("read", "-", "tcp", "-w", "-", text=False, input=mixed.read_bytes())
    assert wirepath("read", "-", "--count", text=False, input=piped.stdout).stdout == b"5 packets\n"


def test_print_and_write(mixed: Path, tmp_path: Path) -> None:
    done = wirepath("read", mixed, "-w", tmp_path / "x.pcapng", "--print", "udp")
    assert len(done.stdout.splitlines()) == 5
    assert wirepath("read", tmp_path / "x.pcapng", "--count").stdout == "5 packets\n"


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, UDP)] * 50_000))
    with subprocess.Popen([*COMMAND, "read", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        reading.stdout.readline()
        reading.stdout.close()
        said = reading.stderr.read()
    assert reading.returncode == 0
    assert b"Broken pipe" not in said


def test_json_with_the_bytes(mixed: Path) -> None:
    row = json.loads(wirepath("read", mixed, "--json", "-x", "-c1").stdout)
    assert (row["v"], row["ts"], row["caplen"], row["linktype"]) == (1, NOON, len(UDP), 1)
    assert bytes.fromhex(row["data"]) == UDP


def test_snaplen(mixed: Path, tmp_path: Path) -> None:
    wirepath("read", mixed, "-s", 40, "-w", tmp_path / "x.pcap")
    row = json.loads(wirepath("read", tmp_path / "x.pcap", "--json", "-c1").stdout)
    assert (row["caplen"], row["origlen"]) == (40, len(UDP))
    wirepath("read", mixed, "-s0", "-w", tmp_path / "y.pcap")
    assert json.loads(wirepath("read", tmp_path / "y.pcap", "--json", "-c1").stdout)["caplen"] == len(UDP)


def test_rotation_by_size_as_tcpdump_does_it(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, bytes(984))] * 3000))
    wirepath("read", path, "-C", 1, "-w", tmp_path / "o.pcap")
    assert sorted(found.name for found in tmp_path.glob("o.pcap*")) == ["o.pcap", "o.pcap1", "o.pcap2"]
    wirepath("read", path, "-C", "500k", "-W", 3, "-w", tmp_path / "ring.pcap")
    assert sorted(found.name for found in tmp_path.glob("ring.pcap*")) == ["ring.pcap0", "ring.pcap1", "ring.pcap2"]


def test_rotation_in_dumpcaps_words(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, bytes(984))] * 1000))
    names = tmp_path / "names"
    words = ["-b", "packets:100", "-b", "files:2", "-b", f"printname:{names}", "-a", "packets:450"]
    wirepath("read", path, *words, "-w", tmp_path / "d.pcapng")
    kept = sorted(tmp_path.glob("d_*.pcapng"))
    assert [found.name[:8] for found in kept] == ["d_00004_", "d_00005_"]
    printed = names.read_text().split()
    assert [Path(name).name[:8] for name in printed] == [f"d_0000{n}_" for n in range(1, 6)]
    assert wirepath("read", kept[1], "--count").stdout == "50 packets\n"


def test_a_command_runs_on_each_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, bytes(984))] * 3000))
    wirepath("read", path, "-C", 1, "-z", "gzip", "-w", tmp_path / "o.pcap")
    wanted = {"o.pcap.gz", "o.pcap1.gz", "o.pcap2.gz"}
    deadline = time.monotonic() + 10
    while {found.name for found in tmp_path.glob("o.pcap*")} != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {found.name for found in tmp_path.glob("o.pcap*")} == wanted


def test_follow_waits_for_more(tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, UDP)] * 3))
    more = cf.pcap([cf.Record(NOON, TCP)] * 2)[24:]
    with subprocess.Popen([*COMMAND, "read", path, "--follow", "-c5"], stdout=subprocess.PIPE, text=True) as reading:
        assert reading.stdout is not None
        lines = [reading.stdout.readline() for _ in range(3)]
        with path.open("ab") as file:
            file.write(more)
        lines += reading.stdout.readlines()
    assert reading.returncode == 0
    assert [line.split()[-1] for line in lines] == ["20", "20", "20", "0", "0"]


def test_deep_is_tsharks(mixed: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    done = wirepath("read", mixed, "--deep", "-c1", "udp")
    assert "User Datagram Protocol, Src Port: 4000, Dst Port: 5000" in done.stdout
    without = wirepath("read", mixed, "--deep", status=1, env={**os.environ, "PATH": "/nonexistent"})
    assert "apt-get install tshark" in without.stderr


def test_statistics_as_json(mixed: Path, tmp_path: Path) -> None:
    wirepath("read", mixed, "udp", "-w", tmp_path / "x.pcap", "--stats-json", tmp_path / "stats.json")
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["v"], stats["engine"], stats["filter"], stats["end"]) == (1, "replay", "udp", "end_of_file")
    assert (stats["packets"], stats["stats"]["filtered"]) == (5, 5)


def test_capture_r_reads(mixed: Path) -> None:
    assert len(wirepath("capture", "-r", mixed, "-q", "-c3").stdout.splitlines()) == 3


def test_info_says_what_capinfos_says(mixed: Path, other: Path) -> None:
    said = wirepath("info", mixed, other, env=UTC).stdout
    assert "Packets:              10\n" in said or "Packets:" in said
    assert "2026-11-23 12:00:00.123456789" in said
    rows = [json.loads(line) for line in wirepath("info", "--json", mixed, other).stdout.splitlines()]
    assert [(row["v"], row["format"], row["packets"]) for row in rows] == [(1, "pcap", 10), (1, "pcapng", 5)]
    assert rows[0]["duration_ns"] == 9 * MILLISECOND
    if shutil.which("capinfos") is None:
        return
    facts = subprocess.run(["capinfos", "-TmQ", "-cudH", mixed], capture_output=True, text=True, check=True).stdout
    header, values = (line.split(",") for line in facts.splitlines())
    theirs = {name.strip('"'): value.strip('"') for name, value in zip(header, values, strict=True)}
    assert int(theirs["Number of packets"]) == rows[0]["packets"]
    assert theirs["SHA256"] == rows[0]["sha256"]


def test_info_of_a_damaged_file_keeps_what_was_good(mixed: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(mixed.read_bytes()[:-7])
    done = wirepath("info", "--json", cut, tmp_path / "none.pcap", status=1)
    row = json.loads(done.stdout)
    assert row["packets"] == 9
    assert "byte" in row["damage"]
    assert "none.pcap" in done.stderr
