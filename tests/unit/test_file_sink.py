# SPDX-License-Identifier: Apache-2.0
"""Writing: compression, rotation, what is readable when, and a disk that is full."""

from __future__ import annotations

import ctypes
import gzip
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wirepath as wp
from unit import capture_files as cf
from unit.capture_files import Record
from unit.test_pcap import read, whole

RECORDS = [Record(1_700_000_000_000_000_000 + i * 1000, cf.frame(100, i)) for i in range(1000)]
RECORD_BYTES = 16 + 100


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(cf.pcap(RECORDS, magic=cf.PCAP_NS))
    return path


def write(source: Path, writer: wp.FileSink) -> wp.Run:
    with wp.open(source) as capture:
        return wp.run(capture, writer)


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("a.pcap", "pcap", ""), ("a.pcapng", "pcapng", ""), ("a", "pcapng", ""), ("a.pcap.gz", "pcap", "gzip"),
        ("a.pcapng.zst", "pcapng", "zstd"), ("a.gz", "pcapng", "gzip"), (".pcap", "pcap", ""),
    ],
)  # fmt: skip
def test_the_name_says_what_is_written(tmp_path: Path, source: Path, name: str, format_: str, compression: str) -> None:
    writer = wp.FileSink(str(tmp_path / name))
    write(source, writer)
    summary = wp.summarize(tmp_path / name)
    assert (summary.format, summary.compression, summary.packets) == (format_, compression, 1000)
    assert writer.packets == 1000
    assert writer.bytes == summary.plain_bytes
    assert read(tmp_path / name) == whole(RECORDS)


@pytest.mark.parametrize(("compression", "tool"), [("gzip", "gzip"), ("zstd", "zstd")])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_others_decompress_it(tmp_path: Path, source: Path, compression: str, tool: str, level: int) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"cannot run here: {tool} is not installed")
    out = tmp_path / "a"
    write(source, wp.PcapWriter(out, compression=compression, level=level))
    plain = subprocess.run([tool, "-dc"], input=out.read_bytes(), check=True, capture_output=True).stdout
    assert plain == source.read_bytes()
    assert len(out.read_bytes()) < len(plain) / 2


def test_much_is_compressed_in_streams_that_are_complete_each(tmp_path: Path) -> None:
    records = [Record(i, os.urandom(50_000)) for i in range(200)]
    source = tmp_path / "source"
    source.write_bytes(cf.pcap(records, magic=cf.PCAP_NS))
    write(source, wp.PcapWriter(tmp_path / "a.gz", level=1))
    raw = (tmp_path / "a.gz").read_bytes()
    assert gzip.decompress(raw) == source.read_bytes()
    assert raw.count(b"\x1f\x8b\x08\0\0\0\0\0") >= 8
    assert read(tmp_path / "a.gz") == whole(records)


@pytest.mark.parametrize("level", [-1, 10])
def test_a_level_that_there_is_not(tmp_path: Path, level: int) -> None:
    with pytest.raises(wp.OptionError, match="compression level"):
        wp.PcapWriter(tmp_path / "a.gz", level=level)


def test_streams_in_a_row_are_one_file(tmp_path: Path) -> None:
    raw = cf.pcap(RECORDS)
    half = len(raw) // 2
    (tmp_path / "a").write_bytes(gzip.compress(raw[:half]) + gzip.compress(raw[half:]) + bytes(512))
    assert read(tmp_path / "a") == whole(RECORDS)


def test_rotation_by_bytes_as_tcpdump_names_it(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "a.pcap", rotate_bytes=24 + 10 * RECORD_BYTES - 5)
    write(source, writer)
    names = ["a.pcap"] + [f"a.pcap{i}" for i in range(1, 100)]
    assert sorted(p.name for p in tmp_path.glob("a.pcap*")) == sorted(names)
    assert [(Path(path).name, packets, size) for path, packets, size in writer.files_done] == [
        (name, 10, 24 + 10 * RECORD_BYTES) for name in names
    ]
    assert [r for name in names for r in read(tmp_path / name)] == whole(RECORDS)
    assert (writer.files, writer.packets, writer.bytes) == (100, 1000, 100 * (24 + 10 * RECORD_BYTES))


def test_a_ring_as_tcpdump_names_it(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "a", rotate_packets=30, keep_files=11)
    write(source, writer)
    assert sorted(p.name for p in tmp_path.glob("a*")) == [f"a{i:02}" for i in range(11)]
    kept = [r for path, _, _ in writer.files_done for r in read(Path(path))]
    assert kept == whole(RECORDS)[-(10 * 30 + 10) :]


def test_a_ring_as_dumpcap_names_it(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapngWriter(tmp_path / "a.pcapng.gz", rotate_packets=30, keep_files=3, naming="dumpcap")
    write(source, writer)
    names = sorted(p.name for p in tmp_path.glob("a*"))
    assert [name[:8] for name in names] == ["a_00032_", "a_00033_", "a_00034_"]
    assert all(re.fullmatch(r"a_\d{5}_20\d{12}\.pcapng\.gz", name) for name in names)
    assert [Path(path).name for path, _, _ in writer.files_done] == names
    assert [r for name in names for r in read(tmp_path / name)] == whole(RECORDS)[-70:]


def test_each_file_of_a_rotation_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    names = [cf.interface([(2, name)]) for name in (b"a", b"b")]
    packets = [cf.packet(i, cf.frame(60, i), [(1, b"%d" % i)], of=i % 2) for i in range(10)]
    source.write_bytes(cf.section([(3, b"an os")]) + b"".join(names + packets))
    writer = wp.PcapngWriter(tmp_path / "out", rotate_packets=3)
    write(source, writer)
    for path, packets_there, _ in writer.files_done:
        summary = wp.summarize(path)
        assert (summary.packets, summary.comments) == (packets_there, packets_there)
        assert summary.section_texts == {"os": "an os"}
        assert [i.name for i in summary.interfaces] == ["a", "b"]


def test_a_run_ends_with_its_last_file(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "a", rotate_packets=30, stop_after_files=3)
    assert write(source, writer).end == "sink"
    assert (writer.files, writer.packets) == (3, 90)


def test_the_command_runs_for_each_file(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "a", rotate_packets=300, command="gzip")
    write(source, writer)
    names = ["a.gz", "a1.gz", "a2.gz", "a3.gz"]
    assert until(lambda: sorted(p.name for p in tmp_path.glob("a*")) == names)
    assert sum(len(read(tmp_path / name)) for name in names) == 1000


def test_the_writer_does_not_wait_for_the_command(tmp_path: Path, source: Path) -> None:
    command = tmp_path / "slow"
    command.write_text('#!/bin/sh\nsleep 5\ntouch "$1.done"\n')
    command.chmod(0o755)
    start = time.monotonic()
    write(source, wp.PcapWriter(tmp_path / "a", rotate_packets=300, command=str(command)))
    assert time.monotonic() - start < 3


def test_a_command_that_cannot_run_is_an_error_at_the_end(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "a", rotate_packets=300, command="/no/such/program")
    with pytest.raises(wp.NotFoundError, match="running /no/such/program"):
        write(source, writer)
    assert writer.packets == 1000


class Feed:
    """A FIFO that a run reads from, and a writer's thread."""

    def __init__(self, path: Path, writer: wp.FileSink) -> None:
        os.mkfifo(path)
        self.capture = wp.open(path)
        self.run: wp.Run | None = None
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(writer,))
        self._thread.start()
        self.pipe = path.open("wb", buffering=0)

    def _run(self, writer: wp.FileSink) -> None:
        try:
            self.run = wp.run(self.capture, writer)
        except wp.WirepathError as error:
            self.fault = error

    def end(self) -> None:
        self.pipe.close()
        self._thread.join()
        self.capture.close()


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[[wp.FileSink], Feed]]:
    feeds: list[Feed] = []

    def make(writer: wp.FileSink) -> Feed:
        feeds.append(Feed(tmp_path / "fifo", writer))
        return feeds[-1]

    yield make
    for each in feeds:
        each.end()


PIECES = [cf.pcap([]), *(cf.pcap([r])[24:] for r in RECORDS)]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_was_written_is_readable_after_the_flush(
    tmp_path: Path, feed: Callable[[wp.FileSink], Feed], compression: str
) -> None:
    out = tmp_path / "out"
    writer = wp.PcapWriter(out, flush_after=0.3, compression=compression)
    source = feed(writer)
    source.pipe.write(b"".join(PIECES[:8]))
    assert until(lambda: writer.packets == 7)
    source.pipe.write(b"".join(PIECES[8:18]))
    assert until(lambda: writer.packets == 17)
    (tmp_path / "copy").write_bytes(out.read_bytes())  # as a kill -9 would leave it
    summary = wp.summarize(tmp_path / "copy")
    assert summary.packets == 17
    assert (summary.damage is None) == (compression == "none")
    assert compression == "none" or "before its end mark" in str(summary.damage)


def test_a_second_passes_before_the_flush_by_default(tmp_path: Path, feed: Callable[[wp.FileSink], Feed]) -> None:
    writer = wp.PcapWriter(tmp_path / "out")
    source = feed(writer)
    source.pipe.write(b"".join(PIECES[:2]))
    start = time.monotonic()
    assert until(lambda: writer.packets == 1)
    assert 0.5 < time.monotonic() - start < 3


def test_packet_buffered_is_at_once(tmp_path: Path, feed: Callable[[wp.FileSink], Feed]) -> None:
    writer = wp.PcapWriter(tmp_path / "out", packet_buffered=True, flush_after=3600)
    source = feed(writer)
    for i in range(1, 6):
        source.pipe.write(b"".join(PIECES[:2]) if i == 1 else PIECES[i])
        assert until(lambda n=i: writer.packets == n, 0.5)  # type: ignore[misc]
        assert wp.summarize(tmp_path / "out").packets == i


def test_a_killed_program_leaves_what_was_flushed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    code = "import sys, wirepath as wp\nwp.run(wp.open(sys.argv[1]), wp.PcapngWriter(sys.argv[2], flush_after=0.1))\n"
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path / "fifo", tmp_path / "out"])
    with (tmp_path / "fifo").open("wb", buffering=0) as pipe:
        pipe.write(b"".join(PIECES[:101]))
        assert until(lambda: (tmp_path / "out").exists() and len((tmp_path / "out").read_bytes()) > 100 * 100)
        child.send_signal(signal.SIGKILL)
        child.wait()
    summary = wp.summarize(tmp_path / "out")
    assert (summary.packets, summary.damage) == (100, None)


def test_rotation_by_time_needs_no_packet(tmp_path: Path, feed: Callable[[wp.FileSink], Feed]) -> None:
    writer = wp.PcapWriter(tmp_path / "a-%s", rotate_after=1.0, stop_after_files=3)
    start = time.monotonic()
    source = feed(writer)
    source.pipe.write(b"".join(PIECES[:10]))
    assert until(lambda: source.run is not None)
    assert 2.8 < time.monotonic() - start < 4.5
    assert source.run is not None
    assert source.run.end == "sink"
    names = sorted(p.name for p in tmp_path.glob("a-*"))
    seconds = [int(name[2:]) for name in names]
    assert len(names) == 3
    assert [second - seconds[0] for second in seconds] == [0, 1, 2]
    assert [wp.summarize(tmp_path / name).packets for name in names] == [9, 0, 0]


def test_rotation_on_the_clock(tmp_path: Path, feed: Callable[[wp.FileSink], Feed]) -> None:
    writer = wp.PcapngWriter(
        tmp_path / "a", rotate_after=1.0, rotate_aligned=True, naming="dumpcap", stop_after_files=2
    )
    source = feed(writer)
    assert until(lambda: source.run is not None)
    assert time.time() % 1 < 0.5
    assert writer.files == 2


def test_standard_output_cannot_be_rotated() -> None:
    with pytest.raises(wp.OptionError, match="cannot be rotated"):
        wp.PcapWriter("-", rotate_packets=1)


COPY_TO_STDOUT = "import sys, wirepath as wp; wp.run(wp.open(sys.argv[1]), wp.PcapWriter('-'))"


def test_standard_output(tmp_path: Path, source: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", COPY_TO_STDOUT, source], check=True, capture_output=True)
    assert ended.stdout == source.read_bytes()


def test_a_terminal_is_refused(source: Path) -> None:
    near, far = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", COPY_TO_STDOUT, source], check=False, stdout=far, stderr=subprocess.PIPE
    )
    os.close(near)
    os.close(far)
    assert b"standard output, which is a terminal" in ended.stderr
    assert b"RefusedError" in ended.stderr


def test_appended_to_a_file(tmp_path: Path, source: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        out.write(b"before")
    with (tmp_path / "out").open("ab") as out:
        subprocess.run([sys.executable, "-c", COPY_TO_STDOUT, source], check=True, stdout=out)
    assert (tmp_path / "out").read_bytes() == b"before" + source.read_bytes()


def test_who_reads_the_pipe_has_gone(source: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run(
        [sys.executable, "-c", COPY_TO_STDOUT, source], check=False, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    assert b"Broken pipe" in ended.stderr


def test_a_directory_that_may_not_be_written_to(tmp_path: Path, source: Path) -> None:
    with pytest.raises(wp.NotFoundError, match=f"creating {tmp_path}/no/out"):
        write(source, wp.PcapWriter(tmp_path / "no" / "out"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of one MiB."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = tmp_path / "disk"
    place.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip(f"cannot run here: mounting a tmpfs: {os.strerror(ctypes.get_errno())} (sudo make test)")
    yield place
    libc.umount2(os.fsencode(place), 2)


@pytest.mark.parametrize("writer", [wp.PcapWriter, wp.PcapngWriter])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_full_disk(
    tmp_path: Path, small_disk: Path, writer: type[wp.PcapWriter | wp.PcapngWriter], compression: str
) -> None:
    size = 10_007
    records = [Record(i, os.urandom(size)) for i in range(900)]
    source = tmp_path / "source"
    source.write_bytes(cf.pcap(records, magic=cf.PCAP_NS))
    (small_disk / "ballast").write_bytes(bytes(100_000))
    sink = writer(small_disk / "out", compression=compression)
    with wp.open(source) as capture, pytest.raises(wp.NoSpaceError, match="No space left") as raised:
        wp.run(capture, sink)
    assert "whole and readable" in raised.value.hint
    assert raised.value.errno == 28
    found = read(small_disk / "out")  # no damage: it ends with a whole packet
    assert found == whole(records)[: len(found)]
    assert len(found) == sink.packets == sink.files_done[0][1]
    assert len(found) > (80 if compression == "none" else 50)
    if compression == "none":
        assert (small_disk / "out").stat().st_size == sink.bytes
        assert sink.bytes > 1024 * 1024 - 100_000 - size - 3 * 4096


def test_a_disk_that_is_full_from_the_beginning(small_disk: Path, source: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "ballast").write_bytes(bytes(2 << 20))
    sink = wp.PcapngWriter(small_disk / "out")
    with pytest.raises(wp.NoSpaceError):
        write(source, sink)
    assert (sink.packets, (small_disk / "out").stat().st_size) == (0, 0)


def test_what_a_batch_is_written_by_hand(tmp_path: Path, source: Path) -> None:
    writer = wp.PcapWriter(tmp_path / "out")
    with wp.open(source) as capture:
        for batch in capture:
            writer.write(batch.where(batch.ts % 2000 == 0))
    writer.close()
    assert read(tmp_path / "out") == whole(RECORDS)[::2]
    with wp.open(source) as capture, pytest.raises(wp.ClosedError):
        writer.write(next(iter(capture)))


def test_a_child_does_not_write_its_parents_buffer(tmp_path: Path, source: Path) -> None:
    code = (
        "import os, sys, wirepath as wp\n"
        "writer = wp.PcapWriter(sys.argv[2])\n"
        "for batch in wp.open(sys.argv[1]): writer.write(batch)\n"
        "if os.fork() == 0: writer.close(); os._exit(0)\n"
        "os.wait()\n"
        "writer.close()\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, source, tmp_path / "out"], check=True)
    assert read(tmp_path / "out") == whole(RECORDS)
