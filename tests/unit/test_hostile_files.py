# SPDX-License-Identifier: Apache-2.0
"""Damaged and lying files: what was good is delivered, then an error says what is wrong at which byte."""

from __future__ import annotations

import gzip
import re
import resource
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wirepath as wp
from unit import capture_files as cf
from unit.capture_files import Record
from unit.test_pcapng import everything

RECORDS = [Record(i * 1000, cf.frame(60 + i, i)) for i in range(4)]
PCAP = cf.pcap(RECORDS)
PCAPNG = cf.section() + cf.interface() + b"".join(cf.packet(i, cf.frame(60 + i, i)) for i in range(4))
MOST_MEMORY_KIB = 64 * 1024


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY_KIB


def read_until_fault(path: Path) -> tuple[int, wp.FileFormatError | None]:
    """How many packets came, and what ended it."""
    packets = 0
    try:
        with wp.open(path) as capture:
            for batch in capture:
                packets += len(batch)
    except wp.FileFormatError as error:
        return packets, error
    return packets, None


def fault_of(path: Path, raw: bytes) -> tuple[int, str]:
    path.write_bytes(raw)
    packets, error = read_until_fault(path)
    assert error is not None
    return packets, error.doing


def _ends(raw: bytes) -> list[int]:
    """Where records end, the file's header included."""
    if raw[:4] == PCAP[:4]:
        ends = [24]
        while ends[-1] < len(raw):
            ends.append(ends[-1] + 16 + struct.unpack_from("<I", raw, ends[-1] + 8)[0])
        return ends
    ends = [0]
    while ends[-1] < len(raw):
        ends.append(ends[-1] + struct.unpack_from("<I", raw, ends[-1] + 4)[0])
    return ends[1:]


@pytest.mark.parametrize(("raw", "before_packets"), [(PCAP, 1), (PCAPNG, 2)], ids=["pcap", "pcapng"])
def test_cut_at_every_byte(tmp_path: Path, raw: bytes, before_packets: int) -> None:
    ends = _ends(raw)
    for size in range(len(raw)):
        path = tmp_path / "cut"
        path.write_bytes(raw[:size])
        packets, error = read_until_fault(path)
        assert packets == max(0, sum(end <= size for end in ends) - before_packets), size
        assert (error is None) == (size in ends), size
        if error is not None and size > 0:
            assert f"ends at byte {size}, in the middle of" in error.doing
            begin = max([0] + [end for end in ends if end <= size])
            assert ("its header" if begin == 0 else f"begins at byte {begin} ") in error.doing + " "


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    assert fault_of(tmp_path / "a", b"") == (0, f"reading {tmp_path}/a: the file is empty")


@pytest.mark.parametrize("raw", [b"\x7fELF" + bytes(100), b"GIF89a" + bytes(100), bytes(100), b"\xff" * 100])
def test_what_is_no_capture_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(wp.FileFormatError, match=re.escape(raw[:4].hex(" "))) as raised:
        wp.open(tmp_path / "a")
    assert "gzip or zstd" in raised.value.hint


@pytest.mark.parametrize("claim", [0xFFFFFFFF, 0x80000000, 300_000])
def test_pcap_that_claims_too_much(tmp_path: Path, claim: int) -> None:
    raw = PCAP + struct.pack("<IIII", 0, 0, claim, claim) + bytes(100)
    packets, said = fault_of(tmp_path / "a", raw)
    assert packets == 4
    assert f"at byte {len(PCAP) + 8}: a packet claims {claim} captured bytes" in said


def test_pcap_of_a_version_to_come(tmp_path: Path) -> None:
    raw = bytearray(PCAP)
    raw[4] = 3
    assert "at byte 4: pcap version 3.4 is not known" in fault_of(tmp_path / "a", raw)[1]


def _patched(at: int, number: int) -> bytes:
    raw = bytearray(PCAPNG)
    raw[at : at + 4] = struct.pack("<I", number)
    return bytes(raw)


LONG = "an option is longer than its block"
FIRST, SECOND_PACKET = _ends(PCAPNG)[1:3]


@pytest.mark.parametrize(
    ("raw", "packets", "said"),
    [
        (_patched(SECOND_PACKET + 4, 0), 1, "claims 0 bytes, 32 at the least are needed"),
        (_patched(SECOND_PACKET + 4, 8), 1, "claims 8 bytes"),
        (_patched(SECOND_PACKET + 4, 0xFFFFFFFF), 1, "claims 4294967295 bytes, more than any block"),
        (_patched(SECOND_PACKET + 4, 0xFFFFFFFC), 1, "claims 4294967292 bytes, more than any block"),
        (_patched(SECOND_PACKET + 4, 101), 1, "claims 101 bytes, not a multiple of 4"),
        (_patched(SECOND_PACKET + 4, 100), 1, "a block of type 0x00000006 claims 100 bytes, and 6 at its end"),
        (_patched(SECOND_PACKET + 4, 1 << 26), 1, "in the middle of the record that begins at byte"),
        (_patched(FIRST + 20, 0xFFFFFFFF), 0, f"at byte {FIRST + 20}: a packet claims 4294967295 captured bytes"),
        (_patched(FIRST + 20, 65), 0, f"at byte {FIRST + 20}: a packet claims 65 captured bytes in a block of 92"),
        (_patched(FIRST + 8, 1), 0, f"at byte {FIRST + 8}: interface 1 is used, but this section has 1"),
        (PCAPNG + cf.section(), 4, None),
        (PCAPNG + cf.section() + cf.packet(1, b""), 4, "interface 0 is used, but this section has 0"),
        (PCAPNG + cf.block(cf.SIMPLE, b""), 4, "claims 12 bytes, 16 at the least are needed"),
        (PCAPNG + cf.section() + cf.block(cf.SIMPLE, bytes(8)), 4, "interface 0 is used, but this section has 0"),
        (PCAPNG + cf.block(cf.OLD_PACKET, struct.pack("<HHIIII", 0, 0, 0, 0, 9, 9) + bytes(8)), 4, "9 captured bytes"),
        (PCAPNG + cf.block(cf.OLD_PACKET, struct.pack("<HHIIII", 5, 0, 0, 0, 0, 0)), 4, "interface 5 is used"),
        (PCAPNG + cf.block(cf.STATISTICS, struct.pack("<III", 9, 0, 0)), 4, "interface 9 is used"),
        (PCAPNG + cf.block(cf.SECTION, struct.pack("<IHHq", 0x1A2B3C4E, 1, 0, -1)), 4, "without its byte-order mark"),
        (PCAPNG + cf.block(cf.SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), 4, "pcapng version 2 is not known"),
        (cf.block(cf.SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), 0, "at byte 12: pcapng version 2"),
        (cf.section() + cf.block(cf.INTERFACE, struct.pack("<HHIHH", 1, 0, 0, 2, 400)), 0, LONG),
        (PCAPNG + cf.block(cf.PACKET, bytes(20) + struct.pack("<HH", 1, 5)), 4, LONG),
        (PCAPNG + cf.block(cf.OLD_PACKET, bytes(20) + struct.pack("<HH", 1, 5)), 4, LONG),
        (PCAPNG + cf.block(cf.STATISTICS, bytes(12) + struct.pack("<HH", 4, 9)), 4, LONG),
        (cf.block(cf.SECTION, struct.pack("<IHHqHH", 0x1A2B3C4D, 1, 0, -1, 4, 5)), 0, "at byte 24: an option"),
        (PCAPNG + cf.block(0x0BADF00D, b""), 4, None),
        (PCAPNG + cf.block(cf.NAMES, b"\1\0\xff\xff"), 4, None),
        (PCAPNG + bytes(64), 4, "claims 0 bytes, 12 at the least are needed"),
    ],
)  # fmt: skip
def test_pcapng_that_lies(tmp_path: Path, raw: bytes, packets: int, said: str | None) -> None:
    path = tmp_path / "a"
    path.write_bytes(raw)
    came, error = read_until_fault(path)
    assert came == packets
    assert (error is None) == (said is None)
    if error is not None and said is not None:
        assert said in error.doing
        assert f"reading {path}: " in error.doing
        assert re.search(r"at byte \d+", error.doing)
    damage = wp.summarize(path).damage if packets or said is None else said
    assert said is None or (damage is not None and said in damage)


def test_a_fault_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PCAP[:-1])
    with wp.open(tmp_path / "a") as capture:
        batch = capture.receive()
        assert batch is not None
        assert len(batch) == 3
        for _ in range(3):
            with pytest.raises(wp.FileFormatError, match="in the middle"):
                capture.receive()


def test_a_damaged_source_is_copied_up_to_the_damage(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PCAPNG[:-1])
    writer = wp.PcapngWriter(tmp_path / "b")
    with wp.open(tmp_path / "a") as capture, pytest.raises(wp.FileFormatError, match="in the middle"):
        wp.run(capture, writer)
    assert writer.packets == wp.summarize(tmp_path / "b").packets == 3


def test_compressed_data_cut_at_every_byte(tmp_path: Path) -> None:
    raw = gzip.compress(PCAP)
    for size in range(2, len(raw)):
        (tmp_path / "a").write_bytes(raw[:size])
        packets, error = read_until_fault(tmp_path / "a")
        assert packets <= 4
        assert error is not None, size


@pytest.mark.skipif(shutil.which("zstd") is None, reason="cannot run here: zstd is not installed")
def test_zstd_cut_at_every_byte(tmp_path: Path) -> None:
    raw = subprocess.run(["zstd", "-c"], input=PCAP, check=True, capture_output=True).stdout
    for size in range(4, len(raw)):
        (tmp_path / "a").write_bytes(raw[:size])
        packets, error = read_until_fault(tmp_path / "a")
        assert packets <= 4
        assert error is not None, size


def test_damaged_compressed_data_is_an_error(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(PCAP * 1))
    raw[len(raw) // 2] ^= 0xFF
    assert "gzip: " in fault_of(tmp_path / "a", raw)[1]
    assert "not compressed by gzip" in fault_of(tmp_path / "a", gzip.compress(PCAP) + b"more")[1]


def test_a_little_that_unpacks_to_much_takes_little_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a", "wb", 1) as file:
        file.write(cf.pcap([]))
        for _ in range(4000):
            file.write(bytes(16) * 1000)
    assert read_until_fault(tmp_path / "a") == (4_000_000, None)


@settings(deadline=None, max_examples=300)
@given(
    order=st.sampled_from("<>"),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    pcap=st.booleans(),
)
def test_changed_bytes_never_harm(
    tmp_path_factory: pytest.TempPathFactory, order: str, changes: list[tuple[int, int]], *, pcap: bool
) -> None:
    raw = bytearray(cf.pcap(RECORDS, order=order) if pcap else everything(order))
    for at, value in changes:
        raw[at % len(raw)] = value
    path = tmp_path_factory.mktemp("changed") / "a"
    path.write_bytes(raw)
    packets, error = read_until_fault(path)
    assert packets <= len(raw) // 12
    if error is None:
        assert wp.summarize(path).packets == packets
    else:
        assert "byte" in error.doing or "empty" in error.doing
