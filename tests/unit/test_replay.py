# SPDX-License-Identifier: Apache-2.0
"""Files, streams and growing files as a source."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from numpy.typing import NDArray

import wirepath as wp
from unit import capture_files as cf
from unit.capture_files import Record
from unit.test_pcap import read, whole

RECORDS = [Record(1_700_000_000_000_000_000 + i * 10_000_000, cf.frame(100 + i, i)) for i in range(30)]
RAW = cf.pcap(RECORDS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(RAW)
    return path


def test_the_source_says_what_it_is(source: Path) -> None:
    with wp.open(source) as capture:
        assert capture.engine == "replay"
        assert capture.filtered_by == "none"
        batch = capture.receive()
        assert batch is not None
        assert capture.receive() is None
        stats = capture.stats()
    assert (stats.received, stats.received_bytes) == (30, sum(len(r.data) for r in RECORDS))
    assert (stats.filtered, stats.copied) == (0, 0)
    assert (stats.dropped_ring, stats.dropped_nic) == (None, None)  # a file cannot know


def test_filters_run_in_the_pipeline(source: Path) -> None:
    with wp.open(source, filter="greater 120") as capture:
        assert capture.filtered_by == "pipeline"
        assert sum(len(batch) for batch in capture) == 10
        stats = capture.stats()
    assert (stats.received, stats.filtered) == (10, 20)


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "1e400", "x", "nan", ""])
def test_a_speed_that_there_is_not(source: Path, speed: str) -> None:
    with pytest.raises(wp.OptionError, match="speed"):
        wp.open(source, speed=speed)


@pytest.mark.parametrize("option", [{"buffer_nr": 1}, {"buffer_nr": "many"}, {"follows": True}])
def test_options_are_checked(source: Path, option: dict[str, str | int]) -> None:
    with pytest.raises(wp.OptionError):
        wp.open(source, **option)  # type: ignore[arg-type]


@pytest.mark.parametrize(("speed", "seconds"), [("recorded", 0.29), ("2x", 0.145), ("0.5", 0.58)])
def test_it_plays_as_it_was_recorded(source: Path, speed: str, seconds: float) -> None:
    came: list[tuple[float, int]] = []
    with wp.open(source, speed=speed) as capture:
        start = time.monotonic()
        for batch in capture:
            came += [(time.monotonic() - start, int(ts)) for ts in batch.ts]
    assert [ts for _, ts in came] == [r.ts for r in RECORDS]
    assert seconds - 0.01 < came[-1][0] < seconds + 0.5
    factor = (RECORDS[-1].ts - RECORDS[0].ts) / 1e9 / seconds
    assert all(at >= (ts - RECORDS[0].ts) / 1e9 / factor - 0.005 for at, ts in came)  # none too early


def test_comments_keep_their_packets_when_paced(tmp_path: Path) -> None:
    packets = [cf.packet(i * 20_000, cf.frame(60, i), [(1, b"%d" % i)]) for i in range(8)]
    path, out = tmp_path / "a", tmp_path / "b"
    path.write_bytes(cf.section() + cf.interface() + b"".join(packets) + cf.block(0xBADF00D, b"last"))
    with wp.open(path, speed="recorded") as capture:
        wp.run(capture, wp.PcapngWriter(out))
    found = [(b.kind, b.options) for b in cf.blocks(out.read_bytes())[2:]]
    assert found == [(cf.PACKET, [(1, b"%d" % i)]) for i in range(8)] + [(0xBADF00D, [])]


def test_a_pause_is_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(cf.pcap([Record(0, cf.frame(60)), Record(3600 * 10**9, cf.frame(60))]))
    with wp.open(path, speed="recorded") as capture:
        assert capture.receive() is not None
        timer = threading.Timer(0.1, capture.interrupt)
        timer.start()
        start = time.monotonic()
        assert capture.receive() is None
        assert time.monotonic() - start < 1
        timer.join()
        assert capture.receive(0.05) is None


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_a_fifo_is_read_as_it_comes(fifo: Path) -> None:
    with wp.open(fifo) as capture:
        assert capture.receive(0.05) is None  # nobody writes yet
        with fifo.open("wb", buffering=0) as pipe:
            pipe.write(RAW[:10])
            assert capture.receive(0.05) is None
            pipe.write(RAW[10 : 24 + 16 + 100 + 7])
            batch = capture.receive(5)
            assert batch is not None
            assert bytes(batch.data(0)) == RECORDS[0].data
            assert capture.receive(0.05) is None
            pipe.write(RAW[24 + 16 + 100 + 7 :])
            batch = capture.receive(5)
            assert batch is not None
            assert len(batch) == 29
        assert capture.receive(5) is None


@pytest.mark.parametrize("written", [0, 30, 24])
def test_waiting_for_a_fifo_is_interrupted(fifo: Path, written: int) -> None:
    with wp.open(fifo) as capture, os.fdopen(os.open(fifo, os.O_RDWR), "wb", buffering=0) as pipe:
        pipe.write(RAW[:written])
        timer = threading.Timer(0.1, capture.interrupt)
        timer.start()
        start = time.monotonic()
        assert capture.receive() is None
        assert time.monotonic() - start < 1
        timer.join()
        pipe.write(RAW[written:])
        batch = capture.receive(5)
        assert batch is not None
        assert len(batch) == 30


def test_ctrl_c_ends_the_wait_for_a_fifo(fifo: Path) -> None:
    code = "import sys, wirepath as wp; c = wp.open(sys.argv[1]); print('open', flush=True); c.receive()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, err = child.communicate(timeout=5)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in err


@pytest.mark.parametrize("compressed", [False, True])
def test_standard_input(*, compressed: bool) -> None:
    code = "import wirepath as wp; print(sum(len(b) for b in wp.open('-')))"
    raw = gzip.compress(RAW) if compressed else RAW
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], input=raw, check=True, capture_output=True)
    assert ended.stdout == b"30\n"


def test_a_stream_of_many_packets(fifo: Path) -> None:
    records = [Record(i * 1000, cf.frame(60 + i % 1400, i)) for i in range(5000)]
    raw = cf.pcap(records)
    writer = threading.Thread(target=fifo.write_bytes, args=(raw,))
    writer.start()
    assert read(fifo) == whole(records)
    writer.join()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_growing_file_is_followed(tmp_path: Path, *, compressed: bool) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"")
    with path.open("ab", buffering=0) as grow, gzip.GzipFile(fileobj=grow, mode="ab") as squeeze:

        def write(raw: bytes) -> None:
            if compressed:
                squeeze.write(raw)
                squeeze.flush()
            else:
                grow.write(raw)

        if not compressed:
            os.truncate(path, 0)  # the compressor's first header
        with wp.open(path, follow=True) as capture:
            assert capture.receive(0.05) is None
            write(RAW[:20])
            assert capture.receive(0.05) is None
            write(RAW[20 : 24 + 16 + 100])
            got = 0
            for end in range(24 + 16 + 100, len(RAW) + 1, 97):
                batch = capture.receive(0.2)
                got += len(batch) if batch is not None else 0
                write(RAW[end : end + 97])
            start = time.monotonic()
            while got < 30 and time.monotonic() - start < 5:
                batch = capture.receive(0.2)
                got += len(batch) if batch is not None else 0
            assert got == 30
            timer = threading.Timer(0.1, capture.interrupt)
            timer.start()
            start = time.monotonic()
            assert capture.receive() is None
            assert time.monotonic() - start < 1
            timer.join()


def test_what_is_appended_comes_at_once(source: Path) -> None:
    with wp.open(source, follow=True) as capture, source.open("ab", buffering=0) as grow:
        assert capture.receive(1) is not None
        written = [0.0]

        def append() -> None:
            written[0] = time.monotonic()
            grow.write(RAW[24:140])

        delays = []
        for _ in range(5):
            timer = threading.Timer(0.05, append)
            timer.start()
            assert capture.receive(2) is not None
            delays.append(time.monotonic() - written[0])
            timer.join()
    assert min(delays) < 0.01


def test_a_followed_file_that_is_cut(source: Path) -> None:
    with wp.open(source, follow=True) as capture:
        assert capture.receive(1) is not None
        os.truncate(source, 100)
        with pytest.raises(wp.FileFormatError, match=f"cut to 100 bytes after {len(RAW)} had been read"):
            capture.receive(1)


def test_views_keep_their_bytes(tmp_path: Path) -> None:
    records = [Record(i, os.urandom(10_000)) for i in range(200)]
    path = tmp_path / "a"
    path.write_bytes(cf.pcap(records))
    kept = []
    with wp.open(path) as capture:
        for batch in capture:
            kept += [batch.data(row) for row in range(len(batch))]
        copied = capture.stats().copied
    assert [bytes(view) for view in kept] == [r.data for r in records]
    assert copied is not None
    assert 1 <= copied < 20  # only what a buffer's end had cut


def test_no_buffer_is_left_and_then_there_is(tmp_path: Path) -> None:
    records = [Record(i, cf.frame(1000, i)) for i in range(2000)]
    path = tmp_path / "a"
    path.write_bytes(cf.pcap(records))
    kept: list[NDArray[object]] = []  # type: ignore[type-var]
    rows = 0
    with wp.open(path, buffer_nr=3) as capture:

        def keep_all() -> None:
            nonlocal rows
            for batch in capture:
                kept.append(batch.payload)
                rows += len(batch)

        with pytest.raises(wp.NoBufferError, match="hold all 3 buffers"):
            keep_all()
        assert len(kept) == 3
        first = bytes(kept[0][:100])
        del kept[1:]
        for batch in capture:
            rows += len(batch)
        assert bytes(kept[0][:100]) == first
    assert rows == 2000


def test_it_outlives_a_fork(source: Path) -> None:
    code = (
        "import os, sys, wirepath as wp\n"
        "capture = wp.open(sys.argv[1])\n"
        "view = capture.receive().payload\n"
        "if os.fork() == 0:\n"
        "    assert bytes(view[40:46]) == bytes(6)\n"
        "    del view; capture.close(); os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 0\n"
        "assert bytes(view[40:46]) == bytes(6)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, source], check=True)


@pytest.mark.parametrize("path", ["/dev/null", "/usr"])
def test_what_is_no_file(path: str) -> None:
    def count() -> int:
        with wp.open(path) as capture:
            return sum(len(batch) for batch in capture)

    with pytest.raises(wp.FileFormatError):
        count()


def test_a_file_that_may_not_be_read(source: Path) -> None:
    source.chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(wp.NoPermissionError, match="permissions do not let"):
            wp.open(source)
        return
    code = (
        "import os, sys, wirepath as wp\n"
        "file = os.open(os.path.dirname(sys.argv[1]), os.O_PATH)\n"
        "os.chdir(file); os.setresuid(65534, 65534, 65534)\n"
        "wp.open('./' + os.path.basename(sys.argv[1]))\n"
    )
    source.parent.chmod(0o755)
    ended = subprocess.run([sys.executable, "-c", code, source], check=False, capture_output=True, text=True)
    assert "The file's permissions do not let this user read it" in ended.stderr
