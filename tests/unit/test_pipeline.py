# SPDX-License-Identifier: Apache-2.0
"""Sources, lanes and sinks in native threads."""

import struct
import threading
import time
from pathlib import Path

import pytest

import wirepath as wp


def write_pcap(path: Path, times_us: list[int]) -> Path:
    """A classic pcap file of 60-byte frames, each with its time as its last eight bytes."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for us in times_us:
            frame = bytes(52) + struct.pack(">Q", us)
            file.write(struct.pack("<IIII", us // 1_000_000, us % 1_000_000, len(frame), len(frame)) + frame)
    return path


@pytest.fixture
def two_files(tmp_path: Path) -> list[Path]:
    even = write_pcap(tmp_path / "even.pcap", list(range(0, 40_000, 2)))
    odd = write_pcap(tmp_path / "odd.pcap", list(range(1, 20_000, 2)))
    return [even, odd]


def test_a_run_counts_what_the_sink_got(two_files: list[Path]) -> None:
    sink = wp.CountSink()
    with wp.open(two_files) as capture:
        run = wp.run(capture, sink)
    assert (run.end, run.packets, sink.packets) == ("end_of_file", 30_000, 30_000)
    assert run.bytes == sink.bytes == 30_000 * 60
    assert run.stats.received == 30_000
    assert run.cpu_ns > 0


def test_files_are_merged_by_time(two_files: list[Path]) -> None:
    with wp.open(two_files) as capture:
        run = wp.run(capture, wp.CountSink(), ordered=True)
    assert (run.packets, run.out_of_order) == (30_000, 0)


def test_what_cannot_be_ordered_is_counted(tmp_path: Path) -> None:
    disordered = write_pcap(tmp_path / "disordered.pcap", [5, 3, 9, 1])
    ordered = write_pcap(tmp_path / "ordered.pcap", [2, 4, 6])
    with wp.open([disordered, ordered]) as capture:
        run = wp.run(capture, wp.CountSink(), ordered=True)
    assert run.packets == 7
    assert run.out_of_order == 2  # 3 behind 5, and 1 behind 9


@pytest.mark.parametrize("files", [1, 2])
def test_count_ends_a_run_exactly(two_files: list[Path], files: int) -> None:
    sink = wp.CountSink()
    with wp.open(two_files[:files]) as capture:
        run = wp.run(capture, sink, count=1234)
    assert (run.end, run.packets, sink.packets) == ("packets", 1234, 1234)


@pytest.mark.parametrize("files", [1, 2])
def test_interrupt_ends_a_run_that_waits(tmp_path: Path, files: int) -> None:
    growing = [write_pcap(tmp_path / f"{i}.pcap", [1, 2, 3]) for i in range(files)]
    with wp.open(growing, follow=True) as capture:
        timer = threading.Timer(0.3, capture.interrupt)
        timer.start()
        began = time.monotonic()
        run = wp.run(capture, wp.CountSink(), seconds=30)
        timer.join()
    assert (run.end, run.packets) == ("interrupted", 3 * files)
    assert time.monotonic() - began < 10


def test_seconds_end_a_run_that_waits(tmp_path: Path) -> None:
    with wp.open(write_pcap(tmp_path / "a.pcap", [1, 2]), follow=True) as capture:
        run = wp.run(capture, wp.CountSink(), seconds=0.2)
    assert (run.end, run.packets) == ("duration", 2)


def test_progress_may_end_a_run(tmp_path: Path) -> None:
    seen = []
    with wp.open(write_pcap(tmp_path / "a.pcap", [1, 2]), follow=True) as capture:
        run = wp.run(capture, wp.CountSink(), progress=lambda packets, bytes_: seen.append((packets, bytes_)) or True)
    assert run.end == "interrupted"
    assert seen[0][0] in (0, 2)


def test_a_tee_feeds_every_sink(two_files: list[Path]) -> None:
    sinks = [wp.CountSink(), wp.CountSink()]
    with wp.open(two_files[0]) as capture:
        wp.run(capture, wp.TeeSink(list(sinks)))
    assert [sink.packets for sink in sinks] == [20_000, 20_000]


def test_one_receiver_at_a_time(tmp_path: Path) -> None:
    with wp.open(write_pcap(tmp_path / "a.pcap", [1, 2]), follow=True) as capture:
        runner = threading.Thread(target=lambda: wp.run(capture, wp.CountSink(), seconds=1))
        runner.start()
        time.sleep(0.3)
        with pytest.raises(wp.BusyError):
            wp.run(capture, wp.CountSink(), seconds=1)
        runner.join()


def test_cpu_affinity_names_the_cpu_that_is_not_there(tmp_path: Path) -> None:
    with wp.open(write_pcap(tmp_path / "a.pcap", [1])) as capture, pytest.raises(wp.OptionError, match="CPU 999"):
        wp.run(capture, wp.CountSink(), cpus=[999])


@pytest.mark.parametrize("files", [1, 2])
def test_a_capture_can_be_received_from_after_a_run(two_files: list[Path], files: int) -> None:
    with wp.open(two_files[:files]) as capture:
        wp.run(capture, wp.CountSink(), count=10)
        rest = wp.run(capture, wp.CountSink())
        assert rest.end == "end_of_file"  # not interrupted by what ended the run before


def test_iteration_goes_on_after_a_run(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "a.pcap", list(range(20_000)))
    with wp.open(path) as capture:
        wp.run(capture, wp.CountSink(), count=1)
        assert sum(len(batch) for batch in capture) > 10_000


def test_nonsense_is_refused(two_files: list[Path]) -> None:
    with pytest.raises(wp.OptionError, match="snaplen cannot be -1"):
        wp.open(two_files[0], snaplen=-1)
    with pytest.raises(wp.OptionError, match="opening nothing"):
        wp.open("")
    with wp.open(two_files[0]) as capture, pytest.raises(wp.OptionError, match="0 or more"):
        wp.run(capture, wp.CountSink(), seconds=-1)


def test_a_writer_in_a_with_statement_is_complete_after_it(two_files: list[Path], tmp_path: Path) -> None:
    with wp.open(two_files[0]) as capture, wp.PcapngWriter(tmp_path / "copy.pcapng") as writer:
        for batch in capture:
            writer.write(batch.take([0, -1]))
    with pytest.raises(wp.ClosedError):
        writer.write(batch.copy())
    times = [packet.ts for packet in wp.open(tmp_path / "copy.pcapng").packets()]
    assert times[0] == 0
    assert times[-1] == 39_998_000
