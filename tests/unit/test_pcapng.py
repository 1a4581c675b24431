# SPDX-License-Identifier: Apache-2.0
"""pcapng files: every block and option is understood or kept, and other programs agree."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wirepath as wp
from unit import capture_files as cf
from unit.capture_files import Record
from unit.test_pcap import copy, read, whole

SECOND = 1_000_000_000
NS = (9, b"\x09")  # if_tsresol
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def copied(path: Path) -> list[cf.Block]:
    """The blocks of `read -w`."""
    to = path.with_suffix(".copy")
    copy(path, to, wp.PcapngWriter)
    return cf.blocks(to.read_bytes())


def everything(order: str) -> bytes:
    """A file with all there is: two sections, each kind of block and option, unknown ones among them."""

    def u32(*numbers: int) -> bytes:
        return struct.pack(order + f"{len(numbers)}I", *numbers)

    def u64(number: int) -> bytes:
        return struct.pack(order + "Q", number)

    about_host = [(1, b"first"), (2, b"a machine"), (3, b"an os"), (4, b"a program"), (777, b"?")]
    about_eth0 = [(2, b"eth0"), (3, b"the first"), (6, bytes(range(6))), (8, u64(10**9)), (11, b"\0tcp"), (14, u64(5))]
    about_wlan0 = [(2, b"wlan0"), (9, b"\x06"), (1, b"about wlan0")]
    names = struct.pack(order + "HH", 1, 11) + cf.padded(b"\x7f\0\0\1locals\0") + struct.pack(order + "HH", 0, 0)
    about_second = [(6, u32(3)), (4, u64(9)), (2, u32(0xFF000062)), (2988, u32(32473) + b"abc")]
    counts = [(2, u32(0, 1_000_000)), (4, u64(10)), (5, u64(1)), (7, u64(2)), (1, b"so far")]
    journal = b"__CURSOR=1\n__REALTIME_TIMESTAMP=1700000000000000\n"
    return b"".join(
        [
            cf.section(about_host, order),
            cf.interface([*about_eth0, NS, (4711, b"unknown")], order),
            cf.interface(about_wlan0, order, linktype=105, snaplen=96),
            cf.block(cf.NAMES, names, order),
            cf.packet(17 * SECOND, cf.frame(61, 1), [(1, b"look"), (1, b"again"), (2, u32(1))], order),
            cf.block(0x0BADF00D, b"whatever", order),
            cf.packet(18_000_000, cf.frame(62, 2), about_second, order, of=1),
            cf.block(cf.SECRETS, u32(0x544C534B, 7) + cf.padded(b"secrets"), order),
            cf.block(cf.CUSTOM, u32(32473) + b"ours", order),
            cf.block(cf.JOURNAL, cf.padded(journal), order),
            cf.block(cf.STATISTICS, u32(1, 0, 19_000_000) + cf.options(counts, order), order),
            cf.section([(4, b"another program")], order),
            cf.interface([(2, b"eth1"), NS], order),
            cf.packet(20 * SECOND, cf.frame(63, 3), None, order),
            cf.block(cf.SIMPLE, u32(64) + cf.frame(64, 4), order),
            cf.block(0x0BADF00E, b"the end.", order),
        ]
    )


@ORDERS
def test_everything_is_read(tmp_path: Path, order: str) -> None:
    path = write(tmp_path / "a.pcapng", everything(order))
    with wp.open(path) as capture:
        packets = [packet for batch in capture for packet in batch]
        assert [i.name for i in capture.interfaces] == ["eth0", "wlan0", "eth1"]
        eth0, wlan0, _ = capture.interfaces
    assert (eth0.description, eth0.filter, eth0.speed_bps, eth0.mac) == ("the first", "tcp", 10**9, bytes(range(6)))
    assert (wlan0.linktype, wlan0.snaplen) == (105, 96)
    assert [p.ts for p in packets] == [22 * SECOND, 18 * SECOND, 20 * SECOND, 0]
    assert [p.data for p in packets] == [cf.frame(61 + i, i + 1) for i in range(4)]
    assert [p.interface_name for p in packets] == ["eth0", "wlan0", "eth1", "eth1"]
    assert packets[0].comments == ["look", "again"]
    assert packets[0].flags == wp.Flag.INBOUND
    assert packets[1].queue == 3
    assert packets[3].flags == wp.Flag.NO_TS


@ORDERS
def test_the_summary_of_everything(tmp_path: Path, order: str) -> None:
    summary = wp.summarize(write(tmp_path / "a.pcapng", everything(order)))
    assert (summary.sections, summary.packets, summary.packets_without_time) == (2, 4, 1)
    assert (summary.comments, summary.section_comments) == (5, ("first",))
    assert summary.section_texts == {"hardware": "a machine", "os": "an os", "application": "a program"}
    assert summary.unknown_blocks == 2
    assert summary.blocks == {
        cf.SECTION: 2,
        cf.INTERFACE: 3,
        cf.NAMES: 1,
        0x0BADF00D: 1,
        cf.SECRETS: 1,
        cf.CUSTOM: 1,
        cf.JOURNAL: 1,
        cf.STATISTICS: 1,
        0x0BADF00E: 1,
    }
    assert (summary.first_ts, summary.last_ts, summary.in_order) == (18 * SECOND, 22 * SECOND, False)
    wlan0 = summary.interfaces[1]
    assert (wlan0.packets, wlan0.received, wlan0.dropped_interface, wlan0.dropped_os) == (1, 10, 1, 2)
    assert summary.interfaces[0].received is None
    assert summary.damage is None


def _comparable(blocks: list[cf.Block]) -> list[tuple[object, ...]]:
    """Blocks without what a copy may say in other words: order of options, and the resolution of times."""
    skip = {cf.INTERFACE: {9, 14}, cf.STATISTICS: {2}}
    found: list[tuple[object, ...]] = []
    for block in blocks:
        fixed = block.fixed
        if block.kind == cf.PACKET:
            fixed = fixed[:4] + fixed[12:]
        elif block.kind == cf.STATISTICS:
            fixed = fixed[:4]
        options = sorted(option for option in block.options if option[0] not in skip.get(block.kind, ()))
        found.append((block.kind, block.order, fixed, options))
    return found


@ORDERS
def test_everything_survives_a_copy(tmp_path: Path, order: str) -> None:
    path = write(tmp_path / "a.pcapng", everything(order))
    before, after = cf.blocks(path.read_bytes()), copied(path)
    assert _comparable(after) == _comparable(before)
    assert read(path.with_suffix(".copy")) == read(path)
    assert all((9, b"\x09") in b.options for b in after if b.kind == cf.INTERFACE)
    times = [b.numbers("III")[1:] for b in after if b.kind == cf.STATISTICS]
    assert [high << 32 | low for high, low in times] == [19 * SECOND]
    assert wp.summarize(path.with_suffix(".copy")).interfaces == wp.summarize(path).interfaces


def test_a_copy_of_a_copy_is_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "1.pcapng", tmp_path / "2.pcapng"
    copy(write(tmp_path / "a.pcapng", everything("<")), first, wp.PcapngWriter)
    copy(first, second, wp.PcapngWriter)
    assert first.read_bytes() == second.read_bytes()


def test_what_must_not_be_copied_is_counted(tmp_path: Path) -> None:
    body = struct.pack("<I", 32473) + b"mine"
    path = write(
        tmp_path / "a.pcapng",
        cf.section(), cf.interface(), cf.block(cf.CUSTOM_NOT_COPIED, body), cf.block(cf.CUSTOM, body),
        cf.packet(1, cf.frame(60), [(19373, body), (2989, body)]),
    )  # fmt: skip
    writer = wp.PcapngWriter(tmp_path / "b.pcapng")
    with wp.open(path) as capture:
        wp.run(capture, writer)
    after = cf.blocks((tmp_path / "b.pcapng").read_bytes())
    assert [b.kind for b in after] == [cf.SECTION, cf.INTERFACE, cf.CUSTOM, cf.PACKET]
    assert after[-1].options == [(2989, body)]
    assert writer.left_out == 2


def test_a_filter_keeps_what_is_not_a_packet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcapng", everything("<"))
    writer = wp.PcapngWriter(tmp_path / "b.pcapng")
    with wp.open(path, filter="len == 63") as capture:
        wp.run(capture, writer)
    kept = [b.kind for b in cf.blocks((tmp_path / "b.pcapng").read_bytes())]
    others = [b.kind for b in cf.blocks(everything("<")) if b.kind not in {cf.PACKET, cf.SIMPLE}]
    assert kept == [*others[:-1], cf.PACKET, others[-1]]


@ORDERS
def test_the_obsolete_packet_block(tmp_path: Path, order: str) -> None:
    data = cf.frame(61)
    head = struct.pack(order + "HHIIII", 0, 7, 0, 5_000_000, len(data), 90)
    path = write(
        tmp_path / "a.pcapng",
        cf.section(None, order),
        cf.interface(None, order),
        cf.block(cf.OLD_PACKET, head + cf.padded(data) + cf.options([(1, b"old")], order), order),
    )
    assert read(path) == [Record(5 * SECOND, data, 90)]
    after = copied(path)[-1]
    assert after.kind == cf.PACKET
    assert sorted(after.options) == [(1, b"old"), (4, struct.pack(order + "Q", 7))]  # epb_dropcount


def test_a_simple_packet_is_as_long_as_the_snaplen(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.pcapng",
        cf.section(),
        cf.interface(snaplen=50),
        cf.block(cf.SIMPLE, struct.pack("<I", 1000) + cf.frame(52)),
    )
    assert read(path) == [Record(0, cf.frame(52)[:50], 1000)]


@settings(deadline=None, max_examples=200)
@given(
    resolution=st.one_of(st.integers(0, 19), st.integers(0x80, 0x80 + 63)),
    offset=st.integers(-(10**9), 10**9),
    units=st.integers(0, (1 << 64) - 1),
    order=st.sampled_from("<>"),
)
def test_any_resolution_becomes_ns(
    tmp_path_factory: pytest.TempPathFactory, resolution: int, offset: int, units: int, order: str
) -> None:
    path = write(
        tmp_path_factory.mktemp("resolution") / "a.pcapng",
        cf.section(None, order),
        cf.interface([(9, bytes([resolution])), (14, struct.pack(order + "q", offset))], order),
        cf.packet(units, b"", None, order),
    )
    per_second = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    ns = units * SECOND // per_second + offset * SECOND
    assert [r.ts for r in read(path)] == [max(-(1 << 63), min(ns, (1 << 63) - 1))]


option = st.tuples(st.sampled_from([1, 3, 5, 7, 2988, 40_000]), st.binary(max_size=30))


@settings(deadline=None, max_examples=60)
@given(
    packets=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1 << 62), st.binary(max_size=99), st.lists(option, max_size=3)),
        max_size=20,
    ),
    order=st.sampled_from("<>"),
)
def test_what_is_read_is_written(
    tmp_path_factory: pytest.TempPathFactory, packets: list[tuple[int, int, bytes, cf.Options]], order: str
) -> None:
    parts = [cf.section(None, order), *(cf.interface([(2, name), (9, b"\x09")], order) for name in (b"a", b"b", b"c"))]
    parts += [cf.packet(ts, data, given_options, order, of=of) for of, ts, data, given_options in packets]
    path = write(tmp_path_factory.mktemp("round") / "a.pcapng", *parts)
    assert [(b.kind, b.order, b.fixed, b.options) for b in copied(path)] == [
        (b.kind, b.order, b.fixed, b.options) for b in cf.blocks(path.read_bytes())
    ]


def test_files_of_both_byte_orders_are_merged(tmp_path: Path) -> None:
    both = [write(tmp_path / f"{name}.pcapng", everything(order)) for name, order in (("a", "<"), ("b", ">"))]
    out = tmp_path / "out.pcapng"
    with wp.open(both) as capture:
        wp.run(capture, wp.PcapngWriter(out), ordered=True)
    merged = cf.blocks(out.read_bytes())
    flags = [b.options for b in merged if b.kind == cf.PACKET and b.fixed[20:] == cf.padded(cf.frame(62, 2))]
    packets = [b for b in merged if b.kind == cf.PACKET]
    values = {struct.unpack(b.order + "I", value)[0] for b in packets for code, value in b.options if code == 2}
    assert len(flags) == 2
    assert values == {1, 0xFF000062}
    assert wp.summarize(out).damage is None
    assert wp.summarize(out).packets == 8


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="cannot run here: tshark is not installed")


@needs_tshark
@ORDERS
def test_tshark_reads_what_is_written(tmp_path: Path, order: str) -> None:
    path = write(tmp_path / "a.pcapng", everything(order))
    copied(path)

    def said(of: Path) -> list[object]:
        fields = ["frame.time_epoch", "frame.len", "frame.comment", "frame.interface_name", "frame.packet_flags"]
        command = ["tshark", "-r", of, "-Tjson", *(word for field in fields for word in ("-e", field))]
        packets = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return [packet["_source"]["layers"] for packet in packets]

    assert said(path.with_suffix(".copy")) == said(path)
    assert len(said(path)) == 6  # two blocks that are not packets count there


@needs_tshark
@pytest.mark.parametrize("format_", ["pcapng", "pcap", "nsecpcap", "modpcap"])
def test_what_editcap_writes_is_read(tmp_path: Path, format_: str) -> None:
    records = [Record(1_700_000_000 * SECOND + i * 1000, cf.frame(60 + i, i)) for i in range(20)]
    path, other = tmp_path / "a.pcap", tmp_path / "other"
    path.write_bytes(cf.pcap(records))
    subprocess.run(["editcap", "-F", format_, path, other], check=True)
    assert read(other) == whole(records)


@needs_tshark
def test_what_mergecap_writes_is_read(tmp_path: Path) -> None:
    files = []
    for first, name in enumerate([b"a", b"b"]):
        packets = [cf.packet(2 * i + first, cf.frame(60 + first, i)) for i in range(9)]
        files.append(write(tmp_path / name.decode(), cf.section(), cf.interface([(2, name)]), *packets))
    merged = tmp_path / "merged"
    subprocess.run(["mergecap", "-w", merged, *files], check=True)
    assert [r.ts for r in read(merged)] == [1000 * i for i in range(18)]
    assert [(i.name, i.packets) for i in wp.summarize(merged).interfaces] == [("a", 9), ("b", 9)]
