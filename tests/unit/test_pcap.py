# SPDX-License-Identifier: Apache-2.0
"""pcap files: what is read, what is written, and what other programs make of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wirepath as wp
from unit import capture_files as cf
from unit.capture_files import Record

SOME = [Record(1_700_000_000_123_456_000 + i * 1000, cf.frame(60 + i, i)) for i in range(50)]


def read(path: Path, **options: str | int) -> list[Record]:
    """Every packet of a file, through the library."""
    found: list[Record] = []
    with wp.open(path, **options) as capture:  # type: ignore[arg-type]
        for batch in capture:
            found += [
                Record(int(batch.ts[row]), bytes(batch.data(row)), int(batch.origlen[row])) for row in range(len(batch))
            ]
    return found


def copy(path: Path, to: Path, writer: type[wp.PcapWriter | wp.PcapngWriter] = wp.PcapWriter) -> int:
    """`read -w`."""
    sink = writer(to)
    with wp.open(path) as capture:
        wp.run(capture, sink)
    return sink.packets


def whole(records: list[Record]) -> list[Record]:
    return [Record(r.ts, r.data, r.wire) for r in records]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [cf.PCAP_US, cf.PCAP_NS, cf.PCAP_MODIFIED])
def test_every_variant_is_read(tmp_path: Path, order: str, magic: int) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(cf.pcap(SOME, order=order, magic=magic))
    assert read(path) == whole(SOME)
    summary = wp.summarize(path)
    assert summary.big_endian == (order == ">")
    variants = {cf.PCAP_US: "", cf.PCAP_NS: "nanoseconds", cf.PCAP_MODIFIED: "modified"}
    assert (summary.format, summary.variant) == ("pcap", variants[magic])


def test_the_modified_variant_knows_the_direction(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(cf.pcap(SOME, magic=cf.PCAP_MODIFIED))
    with wp.open(path) as capture:
        for batch in capture:
            assert set(batch.flags) == {wp.Flag.OUTBOUND}


@pytest.mark.parametrize(("minor", "exchanged"), [(2, True), (3, True), (4, False)])
def test_old_writers_exchanged_the_lengths(tmp_path: Path, minor: int, *, exchanged: bool) -> None:
    raw = bytearray(cf.pcap([Record(0, cf.frame(60), 1000)], minor=minor))
    if exchanged:
        raw[24 + 8 : 24 + 16] = raw[24 + 12 : 24 + 16] + raw[24 + 8 : 24 + 12]
    path = tmp_path / "a.pcap"
    path.write_bytes(raw)
    assert read(path) == [Record(0, cf.frame(60), 1000)]


def test_the_length_of_the_frame_check_sequence_survives(tmp_path: Path) -> None:
    linktype = 1 | 0x04000000 | 2 << 28  # twice 16 bits
    path, again, other = tmp_path / "a.pcap", tmp_path / "b.pcap", tmp_path / "c.pcapng"
    path.write_bytes(cf.pcap(SOME, linktype=linktype))
    with wp.open(path) as capture:
        assert capture.interfaces[0].linktype == 1
    copy(path, again)
    assert int.from_bytes(again.read_bytes()[20:24], "little") == linktype
    copy(path, other, wp.PcapngWriter)
    assert (13, b"\x20") in cf.blocks(other.read_bytes())[1].options  # if_fcslen: 32 bits


def test_snaplen_cuts_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(cf.pcap(SOME))
    assert read(path, snaplen=40) == [Record(r.ts, r.data[:40], r.wire) for r in SOME]
    with wp.open(path, snaplen=40) as capture:
        assert capture.interfaces[0].snaplen == 40


def test_a_packet_beyond_every_buffer_is_read(tmp_path: Path) -> None:
    large = [
        Record(1000 * i, cf.frame(size, i)) for i, size in enumerate([60, 1_000_000, 70, 3_000_000, 2_999_999, 80])
    ]
    path = tmp_path / "a.pcap"
    path.write_bytes(cf.pcap(large, snaplen=4_000_000))
    assert read(path) == whole(large)
    copy(path, tmp_path / "b.pcap")
    assert cf.pcap_records((tmp_path / "b.pcap").read_bytes()) == whole(large)


record = st.builds(
    Record,
    ts=st.integers(0, (1 << 32) * 1_000_000_000 - 1),
    data=st.binary(max_size=200),
    origlen=st.integers(-1, 70_000),
)


@settings(deadline=None, max_examples=100)
@given(records=st.lists(record, max_size=30), order=st.sampled_from("<>"))
def test_what_is_read_is_written(tmp_path_factory: pytest.TempPathFactory, records: list[Record], order: str) -> None:
    folder = tmp_path_factory.mktemp("round")
    path, again = folder / "a.pcap", folder / "b.pcap"
    path.write_bytes(cf.pcap(records, order=order, magic=cf.PCAP_NS))
    assert read(path) == whole(records)
    assert copy(path, again) == len(records)
    assert cf.pcap_records(again.read_bytes()) == whole(records)


def test_microseconds_are_written_where_asked(tmp_path: Path) -> None:
    path, again = tmp_path / "a.pcap", tmp_path / "b.pcap"
    path.write_bytes(cf.pcap(SOME, magic=cf.PCAP_NS))
    with wp.open(path) as capture:
        wp.run(capture, wp.PcapWriter(again, nanoseconds=False))
    assert again.read_bytes() == cf.pcap(SOME)


def test_one_file_has_one_link_type(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pcap", tmp_path / "two.pcap"
    one.write_bytes(cf.pcap(SOME))
    two.write_bytes(cf.pcap(SOME, linktype=101))
    writer = wp.PcapWriter(tmp_path / "out.pcap")
    with (
        wp.open([one, two]) as capture,
        pytest.raises(wp.UnsupportedError, match="one link-layer type") as raised,
    ):
        wp.run(capture, writer)
    assert raised.value.hint == "Write pcapng instead"
    both = wp.PcapngWriter(tmp_path / "out.pcapng")
    with wp.open([one, two]) as capture:
        wp.run(capture, both)
    assert both.packets == 2 * len(SOME)
    summary = wp.summarize(tmp_path / "out.pcapng")
    assert sorted(i.linktype for i in summary.interfaces) == [1, 101]  # in the order of their first packets


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="cannot run here: tcpdump is not installed")
def test_tcpdump_reads_what_is_written(tmp_path: Path) -> None:
    path, again = tmp_path / "a.pcap", tmp_path / "b.pcap"
    path.write_bytes(cf.pcap(SOME, magic=cf.PCAP_NS))
    copy(path, again)
    lines = [
        subprocess.run(["tcpdump", "-ttnnxxr", file], check=True, capture_output=True).stdout for file in (path, again)
    ]
    assert lines[0] == lines[1]
    assert lines[0].count(b"1700000000.") == len(SOME)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="cannot run here: tcpdump is not installed")
def test_what_tcpdump_writes_is_read(tmp_path: Path) -> None:
    path, again = tmp_path / "a.pcap", tmp_path / "b.pcap"
    path.write_bytes(cf.pcap(SOME, magic=cf.PCAP_NS, order=">"))
    subprocess.run(["tcpdump", "--nano", "-r", path, "-w", again], check=True, capture_output=True)
    assert read(again) == whole(SOME)
