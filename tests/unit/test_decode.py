# SPDX-License-Identifier: Apache-2.0
"""Packets in words: what each layer says, also of packets that are cut short, and that tcpdump says the same."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wirepath as wp
from unit import capture_files as cf

RAW, NULL, SLL, SLL2 = 101, 0, 113, 276
SECOND = 1_000_000_000
NOON = 1_795_435_200 * SECOND + 123_456_789  # 2026-11-23 12:00:00.123456789 UTC
A, B = "10.0.0.1", "10.0.0.2"
MACS = bytes.fromhex("020000000002020000000001")
WWW = b"\3www\7example\3org\0"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def printed(path: Path, **style: Any) -> str:
    """What PrintSink writes of a file."""
    out = path.with_suffix(".txt")
    with out.open("wb") as file, wp.open(path) as capture:
        wp.run(capture, wp.PrintSink(file.fileno(), **style))
    return out.read_text()


def says(tmp_path: Path, *packets: bytes, linktype: int = RAW, origlen: int = -1, **style: Any) -> list[str]:
    """The lines of these packets, without times."""
    path = tmp_path / "packets.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, packet, origlen) for packet in packets], linktype=linktype))
    return printed(path, **{"time": "none", **style}).splitlines()


def ether(ethertype: int, payload: bytes) -> bytes:
    return MACS + struct.pack(">H", ethertype) + payload


def checksum(data: bytes) -> int:
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(
    protocol: int, payload: bytes, *, source: str = A, to: str = B, flags: int = 0x4000, options: bytes = b""
) -> bytes:
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + len(payload),
        7,
        flags,
        64,
        protocol,
        0,
        socket.inet_aton(source),
        socket.inet_aton(to),
    )
    head += options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(following: int, payload: bytes, *, source: str = "fd00::1", to: str = "fd00::2") -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, to)
    return struct.pack(">IHBB", 0x60000000, len(payload), following, 64) + addresses + payload


def tcp(
    flags: int, seq: int, ack: int, data: bytes = b"", *, options: bytes = b"", ports: tuple[int, int] = (1234, 80)
) -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return struct.pack(">HHIIBBHHH", *ports, seq, ack, offset, flags, 502, 0, 0) + options + data


def udp(payload: bytes, *, ports: tuple[int, int] = (4000, 5000)) -> bytes:
    return struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload


def dns(number: int, flags: int, counts: tuple[int, int, int, int], body: bytes) -> bytes:
    return struct.pack(">HHHHHH", number, flags, *counts) + body


TIMESTAMPS = b"\1\1\x08\x0a" + struct.pack(">II", 1, 2)
QUESTION = WWW + b"\0\1\0\1"
ANSWER = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
SACK = b"\1\1\5\x0a" + struct.pack(">II", 1001, 2001)


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (
            tcp(2, 99, 0, options=b"\2\4\5\xb4\4\2\1\3\3\7\0\0"),
            "Flags [S], seq 99, win 502, options [mss 1460,sackOK,nop,wscale 7,eol], length 0",
        ),
        (tcp(0x10, 5, 6), "Flags [.], ack 6, win 502, length 0"),
        (
            tcp(0x18, 5, 6, b"x" * 100, options=TIMESTAMPS),
            "Flags [P.], seq 5:105, ack 6, win 502, options [nop,nop,TS val 1 ecr 2], length 100",
        ),
        (tcp(0x39, 5, 6), "Flags [FP.U], seq 5, ack 6, win 502, urg 0, length 0"),
        (tcp(0, 5, 6), "Flags [none], win 502, length 0"),
        (tcp(0x10, 5, 6, options=b"\1\1\5\x20\0\0\0\0"), "Flags [.], ack 6, win 502, options [nop,nop,[bad opt]"),
        (
            tcp(0x10, 5, 6, options=b"\xfd\6\1\2\3\4\1\1"),
            "Flags [.], ack 6, win 502, options [unknown-253 0x01020304,nop,nop], length 0",
        ),
    ],
)
def test_tcp(tmp_path: Path, packet: bytes, line: str) -> None:
    assert says(tmp_path, ipv4(6, packet)) == [f"IP {A}.1234 > {B}.80: {line}"]


def test_sequence_numbers_are_told_from_where_a_conversation_began(tmp_path: Path) -> None:
    back = {"source": B, "to": A}
    packets = [
        ipv4(6, tcp(2, 1000, 0)),
        ipv4(6, tcp(0x12, 2000, 1001, ports=(80, 1234)), **back),
        ipv4(6, tcp(0x10, 1001, 2001)),
        ipv4(6, tcp(0x18, 1001, 2001, b"x" * 10)),
        ipv4(6, tcp(0x10, 2001, 1011, options=SACK, ports=(80, 1234)), **back),
    ]
    said = [line.split(": ", 1)[1] for line in says(tmp_path, *packets)]
    assert said == [
        "Flags [S], seq 1000, win 502, length 0",
        "Flags [S.], seq 2000, ack 1001, win 502, length 0",
        "Flags [.], ack 1, win 502, length 0",
        "Flags [P.], seq 1:11, ack 1, win 502, length 10",
        "Flags [.], ack 11, win 502, options [nop,nop,sack 1 {1:1001}], length 0",
    ]


@pytest.mark.parametrize(
    ("payload", "ports", "line"),
    [
        (b"x" * 20, (4000, 5000), "UDP, length 20"),
        (dns(36263, 0x0100, (1, 0, 0, 0), QUESTION), (4000, 53), "36263+ A? www.example.org. (33)"),
        (dns(1, 0x8180, (1, 1, 0, 0), QUESTION + ANSWER), (53, 4000), "1 1/0/0 A 192.0.2.1 (49)"),
        (dns(1, 0x8183, (1, 0, 0, 0), QUESTION), (53, 4000), "1 NXDomain 0/0/0 (33)"),
        (dns(0, 0, (1, 0, 0, 0), WWW + b"\0\x1c\x80\1"), (5353, 5353), "0 AAAA (QU)? www.example.org. (33)"),
        (dns(1, 0x8180, (1, 1, 0, 0), QUESTION + b"\xc0\xff"), (53, 4000), "1 1/0/0 (35)"),
        (dns(1, 0x0100, (1, 0, 0, 0), b"\xc0\x0c\0\1\0\1"), (4000, 53), "1+ A? <BAD PTR> [|domain]"),
        (b"\x23" + bytes(47), (123, 123), "NTPv4, Client, length 48"),
        (
            b"\1\1\6\0" + bytes(24) + MACS[:6] + bytes(206),
            (68, 67),
            "BOOTP/DHCP, Request from 02:00:00:00:00:02, length 240",
        ),
        (b"\1\0\0\1", (546, 547), "dhcp6 solicit"),
    ],
)
def test_udp(tmp_path: Path, payload: bytes, ports: tuple[int, int], line: str) -> None:
    assert says(tmp_path, ipv4(17, udp(payload, ports=ports))) == [f"IP {A}.{ports[0]} > {B}.{ports[1]}: {line}"]


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (ipv4(1, b"\x08\0\0\0\0\1\0\2"), f"IP {A} > {B}: ICMP echo request, id 1, seq 2, length 8"),
        (
            ipv4(1, b"\3\3\0\0\0\0\0\0" + ipv4(17, udp(b""))),
            f"IP {A} > {B}: ICMP {B} udp port 5000 unreachable, length 36",
        ),
        (
            ipv4(1, b"\3\4\0\0\0\0\5\x78" + ipv4(17, udp(b""))),
            f"IP {A} > {B}: ICMP {B} unreachable - need to frag (mtu 1400), length 36",
        ),
        (
            ipv4(1, b"\x0b\0\0\0\0\0\0\0" + ipv4(17, udp(b""))),
            f"IP {A} > {B}: ICMP time exceeded in-transit, length 36",
        ),
        (ipv4(17, b"x" * 16, flags=0x00B9), f"IP {A} > {B}: ip-proto-17"),
        (ipv4(17, udp(b"x" * 8), flags=0x2000), f"IP {A}.4000 > {B}.5000: UDP, length 8"),
        (ipv4(200, b"x" * 8), f"IP {A} > {B}:  ip-proto-200 8"),
        (ipv4(2, b"\x16\0\0\0\xe0\0\0\1"), f"IP {A} > {B}: igmp v2 report 224.0.0.1"),
        (ipv4(50, b"\0\0\0\1\0\0\0\2" + bytes(8)), f"IP {A} > {B}: ESP(spi=0x00000001,seq=0x2), length 16"),
        (ipv4(4, ipv4(17, udp(b"xy"))), f"IP {A} > {B}: IP {A}.4000 > {B}.5000: UDP, length 2"),
        (ipv6(17, udp(b"xy")), "IP6 fd00::1.4000 > fd00::2.5000: UDP, length 2"),
        (
            ipv6(58, b"\x87\0\0\0\0\0\0\0" + bytes(15) + b"\1"),
            "IP6 fd00::1 > fd00::2: ICMP6, neighbor solicitation, who has ::1, length 24",
        ),
        (ipv6(0, b"\x11\0\5\2\0\0\1\0" + udp(b"xy")), "IP6 fd00::1 > fd00::2: HBH 4000 > 5000: UDP, length 2"),
        (ipv6(44, b"\x11\0\0\1\0\0\0\1" + udp(b"xy")), "IP6 fd00::1 > fd00::2: frag (0|10) 4000 > 5000: UDP, length 2"),
        (ipv6(59, b""), "IP6 fd00::1 > fd00::2: no next header"),
        (b"\x50" + bytes(30), "unknown ip 5"),
    ],
)
def test_ip(tmp_path: Path, packet: bytes, line: str) -> None:
    assert says(tmp_path, packet) == [line]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("::", "::"),
        ("::1", "::1"),
        ("1::", "1::"),
        ("fe80::1:0:0:1", "fe80::1:0:0:1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
    ],
)
def test_ipv6_addresses_are_short(tmp_path: Path, address: str, text: str) -> None:
    assert says(tmp_path, ipv6(59, b"", source=address)) == [f"IP6 {text} > fd00::2: no next header"]


ARP = b"\0\1\x08\0\6\4" + b"\0\1" + MACS[6:] + socket.inet_aton(A) + bytes(6) + socket.inet_aton(B)


def test_ethernet(tmp_path: Path) -> None:
    assert says(tmp_path, ether(0x0806, ARP), linktype=1) == [f"ARP, Request who-has {B} tell {A}, length 28"]
    tagged = ether(0x88A8, b"\0\5\x81\0\x20\6\x08\0" + ipv4(17, udp(b"xy")))
    assert says(tmp_path, tagged, linktype=1) == [f"IP {A}.4000 > {B}.5000: UDP, length 2"]
    assert says(tmp_path, tagged, linktype=1, link_header=True) == [
        (
            "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 802.1Q-QinQ (0x88a8), length 52: vlan 5, p 0, "
            f"ethertype 802.1Q (0x8100), vlan 6, p 1, ethertype IPv4 (0x0800), {A}.4000 > {B}.5000: UDP, length 2"
        )
    ]
    assert says(tmp_path, ether(0x88B5, b"hello, world\0"), linktype=1) == [
        "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype Unknown (0x88b5), length 27: ",
        "\t0x0000:  6865 6c6c 6f2c 2077 6f72 6c64 00         hello,.world.",
    ]


def test_other_links(tmp_path: Path) -> None:
    inner = ipv4(17, udp(b"xy"))
    line = f"IP {A}.4000 > {B}.5000: UDP, length 2"
    assert says(tmp_path, b"\2\0\0\0" + inner, linktype=NULL) == [line]
    assert says(tmp_path, b"\0\4\0\1\0\6" + MACS[:6] + b"\0\0\x08\0" + inner, linktype=SLL) == [line]
    cooked = b"\x08\0\0\0\0\0\0\1\0\1\4\6" + MACS[:6] + b"\0\0" + inner
    assert says(tmp_path, cooked, linktype=SLL2) == [f"?     Out {line}"]
    assert says(tmp_path, b"abc", linktype=147)[0] == "linktype 147, length 3"


def test_a_packet_that_is_cut_says_where(tmp_path: Path) -> None:
    whole = ether(0x0800, ipv4(6, tcp(0x18, 5, 6, b"x" * 100, options=TIMESTAMPS)))
    ends = {
        13: " [|ether]",
        20: "IP  [|ip]",
        36: f"IP {A} > {B}: [|tcp]",
        40: f"IP {A}.1234 > {B}.80:  [|tcp]",
        60: f"IP {A}.1234 > {B}.80: Flags [P.], seq 5:105, ack 6, win 502, options [nop,nop,TS [|tcp]",
    }
    for caplen, line in ends.items():
        said = says(tmp_path, whole[:caplen], origlen=len(whole), linktype=1, absolute_seq=True)
        assert said == [line], caplen


def test_times(tmp_path: Path) -> None:
    path = tmp_path / "times.pcap"
    packet = ipv6(59, b"")
    times = [NOON, NOON + 1_500 * 1_000_000, NOON - 1_000]
    path.write_bytes(cf.pcap([cf.Record(ts, packet) for ts in times], magic=cf.PCAP_NS, linktype=RAW))

    def first_words(**style: Any) -> list[str]:
        return [line.split(" IP6")[0] for line in printed(path, **style).splitlines()]

    assert first_words() == ["12:00:00.123456", "12:00:01.623456", "12:00:00.123455"]
    assert first_words(nanoseconds=True)[0] == "12:00:00.123456789"
    assert first_words(time="epoch")[0] == "1795435200.123456"
    assert first_words(time="date")[0] == "2026-11-23 12:00:00.123456"
    assert first_words(time="since_previous") == [" 00:00:00.000000", " 00:00:01.500000", "-00:00:01.500001"]
    assert first_words(time="since_first") == [" 00:00:00.000000", " 00:00:01.500000", "-00:00:00.000001"]
    assert first_words(numbers=True)[0] == "    1  12:00:00.123456"


def test_a_tag_in_metadata_is_printed_as_if_in_the_bytes(tmp_path: Path) -> None:
    """It is put back where a file is written; a capture's own lines must say the same as the file's."""
    plain = ether(0x8100, b"\0\5\x08\0" + ipv4(17, udp(b"xy")))
    assert "vlan 5" in says(tmp_path, plain, linktype=1, link_header=True)[0]


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, b"abc", 60)], magic=cf.PCAP_NS))
    assert json.loads(printed(path, json=True, data=True)) == {
        "v": 1,
        "ts": NOON,
        "caplen": 3,
        "origlen": 60,
        "linktype": 1,
        "interface": None,
        "interface_id": 0,
        "data": "616263",
    }


def test_a_reader_that_has_gone_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(cf.pcap([cf.Record(NOON, ipv6(59, b""))] * 10_000, linktype=RAW))
    reading, writing = os.pipe()
    os.close(reading)
    with wp.open(path) as capture, pytest.raises(OSError, match="Broken pipe"):
        wp.run(capture, wp.PrintSink(writing))
    os.close(writing)


def test_styles_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(wp.OptionError, match="One of: clock none"):
        wp.PrintSink(1, time="noon")


FRAMES = [
    ether(0x0806, ARP),
    ether(0x0800, ipv4(6, tcp(2, 99, 0, options=b"\2\4\5\xb4\4\2\1\3\3\7\0\0"))),
    ether(0x0800, ipv4(6, tcp(0x12, 500, 100, options=TIMESTAMPS, ports=(80, 1234)), source=B, to=A)),
    ether(0x0800, ipv4(6, tcp(0x18, 100, 501, b"x" * 99, options=TIMESTAMPS, ports=(1234, 9)))),
    ether(0x0800, ipv4(6, tcp(4, 100, 501, b"reset!", ports=(1234, 9)))),
    ether(0x0800, ipv4(17, udp(dns(5, 0x0100, (1, 0, 0, 0), QUESTION), ports=(4000, 53)))),
    ether(0x0800, ipv4(17, udp(dns(5, 0x8580, (1, 1, 0, 0), QUESTION + ANSWER), ports=(53, 4000)))),
    ether(0x0800, ipv4(17, udp(b"xyz"), options=b"\x83\7\4\xc0\0\2\1\0")),
    ether(0x0800, ipv4(1, b"\3\1\0\0\0\0\0\0" + ipv4(17, udp(b"")))),
    ether(0x0800, ipv4(1, b"\5\1\0\0\n\0\0\xfe" + ipv4(17, udp(b"")))),
    ether(0x0800, ipv4(17, b"x" * 16, flags=0x00B9)),
    ether(0x0800, ipv4(2, b"\x22\0\0\0\0\0\0\1\4\0\0\0\xe0\0\0\xfb")),
    ether(0x86DD, ipv6(6, tcp(0x11, 7, 8))),
    ether(0x86DD, ipv6(0, b"\x3a\0\5\2\0\0\1\0" + b"\x8f\0\0\0\0\0\0\1\4\0\0\0\xff\2" + bytes(13) + b"\1")),
    ether(0x86DD, ipv6(44, b"\x11\0\0\1\0\0\0\1" + udp(b"xy"))),
    ether(0x86DD, ipv6(43, b"\x11\2\0\0\0\0\0\0" + bytes(16) + udp(b"xy"))),
    ether(0x86DD, ipv6(58, b"\x86\0\0\0@\x40\7\x08" + bytes(8) + b"\1\1" + MACS[:6] + b"\5\1\0\0\0\0\5\xdc")),
    ether(0x86DD, ipv6(58, b"\1\4\0\0\0\0\0\0" + ipv6(17, udp(b"")))),
    ether(0x8100, b"\x70\5\x08\0" + ipv4(1, b"\x08\0\0\0\0\1\0\2hello")),
    MACS + b"\0\x27\x42\x42\3\0\0\2\2\x3c" + bytes(31),
    MACS + b"\0\x20\xaa\xaa\3\0\0\0\x08\0" + ipv4(59, b"xy"),
    MACS + b"\0\4\xf0\xf1\x7f\0",
    ether(0x88B5, b"nobody knows"),
]


TIMES = ("-t", "-tt", "-ttt", "-tttt", "-ttttt")
DUMPS = ("-x", "-xx", "-X", "-XX", "-A", "-AA")
FLAGS = ("", "-v", "-vv", "-e", "-ev", "-q", "-S", "-K", "-#", *TIMES, *DUMPS)
WITHOUT_LINK_HEADER = {"-x", "-X", "-A"}  # tcpdump leaves it out of some packets that are cut, not of others


@pytest.mark.parametrize(
    ("flags", "caplen"),
    [
        (flags, caplen)
        for flags in FLAGS
        for caplen in (None, 128, 70, 50, 40, 20)
        if caplen is None or flags not in WITHOUT_LINK_HEADER
    ],
)
def test_tcpdump_says_the_same(tmp_path: Path, flags: str, caplen: int | None) -> None:
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is not installed")
    path = tmp_path / "all.pcap"
    records = [cf.Record(NOON + n * 1_000_000_321, frame[:caplen], len(frame)) for n, frame in enumerate(FRAMES)]
    path.write_bytes(cf.pcap(records))
    letters = "#" if flags == "-#" else flags.strip("-")
    times = ("clock", "none", "epoch", "since_previous", "date", "since_first")
    dumps = {"x": "hex", "xx": "hex_link", "X": "hex_ascii", "XX": "hex_ascii_link", "A": "ascii", "AA": "ascii_link"}
    ours = printed(
        path,
        time=times[letters.count("t")],
        verbosity=letters.count("v"),
        link_header="e" in letters,
        quiet=letters == "q",
        absolute_seq=letters == "S",
        checksums=letters != "K",
        numbers=letters == "#",
        dump=dumps.get(letters, "none"),
    )
    command = ["tcpdump", "-nr", str(path), *([flags] if flags else [])]
    theirs = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    assert ours.splitlines() == theirs.splitlines()


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200),
    frame=st.sampled_from(FRAMES),
    at=st.integers(0, 150),
    cut=st.integers(0, 200),
    verbosity=st.integers(0, 3),
    linktype=st.sampled_from([1, RAW, NULL, SLL, SLL2]),
)
def test_any_bytes_make_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    data: bytes,
    frame: bytes,
    at: int,
    cut: int,
    verbosity: int,
    linktype: int,
) -> None:
    packet = (frame[:at] + data)[: cut or 1]
    tmp_path = tmp_path_factory.mktemp("any")
    lines = says(tmp_path, packet, origlen=len(packet) + 7, linktype=linktype, verbosity=verbosity)
    assert lines
