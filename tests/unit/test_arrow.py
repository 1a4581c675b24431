# SPDX-License-Identifier: Apache-2.0
"""Captures and batches as Arrow data, read by another implementation."""

import struct
from pathlib import Path

import nanoarrow
import pytest

import wirepath as wp


@pytest.fixture
def capture_file(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i in range(10_000):
            frame = i.to_bytes(4, "big") * (15 + i % 7)
            file.write(struct.pack("<IIII", i, 7, len(frame), len(frame) + 5) + frame)
    return path


def test_a_batch_is_an_arrow_array(capture_file: Path) -> None:
    with wp.open(capture_file) as capture:
        batch = capture.receive()
        assert batch is not None
        array = nanoarrow.Array(batch)
        capture.receive()  # the batch's payload goes back; the array has its own
    assert len(array) == len(batch) > 100
    row = array[100].as_py()
    assert row["caplen"] == len(row["data"]) == 60 + 4 * (100 % 7)
    assert row["origlen"] == row["caplen"] + 5
    assert row["data"][:4] == (100).to_bytes(4, "big")
    assert row["ts"].timestamp() == pytest.approx(100.000007)


def test_a_capture_is_an_arrow_stream(capture_file: Path) -> None:
    with wp.open(capture_file) as capture:
        table = nanoarrow.ArrayStream(capture).read_all()
    assert len(table) == 10_000
    assert [field.name for field in table.schema.fields][:3] == ["ts", "caplen", "origlen"]
    rows = table.to_pylist()
    assert [row["data"][:4] for row in rows] == [i.to_bytes(4, "big") for i in range(10_000)]
    assert sum(row["caplen"] for row in rows) == sum(60 + 4 * (i % 7) for i in range(10_000))


def test_a_damaged_file_ends_the_stream_with_its_error(capture_file: Path) -> None:
    capture_file.write_bytes(capture_file.read_bytes()[:-3])
    with wp.open(capture_file) as capture, pytest.raises(Exception, match=r"offset|cut|byte"):
        nanoarrow.ArrayStream(capture).read_all()


def test_an_array_that_nobody_takes_is_freed(capture_file: Path) -> None:
    with wp.open(capture_file) as capture:
        batch = capture.receive()
        assert batch is not None
        for _ in range(1000):
            batch.__arrow_c_array__()
        capture._core.arrow_stream()
