# SPDX-License-Identifier: Apache-2.0
"""Opening, batches and their columns, packets, errors: what Python sees of a capture, over a file."""

import asyncio
import gc
import select
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

import wirepath as wp

SIZES = [60, 61, 1514, 100, 9000]
START_NS = 1_700_000_000_123_456_789
COUNT = 10_000


def content(row: int) -> bytes:
    return row.to_bytes(4, "big") + bytes([row & 0xFF]) * (SIZES[row % len(SIZES)] - 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COUNT packets of known size and content, one microsecond and one nanosecond apart."""
    path = tmp_path_factory.mktemp("capture") / "known.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for row in range(COUNT):
            seconds, nanoseconds = divmod(START_NS + row * 1001, 10**9)
            data = content(row)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(data), len(data) + 4) + data)
    return path


def test_columns(path: Path) -> None:
    """Equal lengths, their own types, read-only, and together the whole file."""
    row = 0
    with wp.open(path) as capture:
        for batch in capture:
            columns = {
                name: getattr(batch, name) for name in ("ts", "caplen", "origlen", "interface", "queue", "flags")
            }
            assert {len(column) for column in columns.values()} == {len(batch)}
            assert not any(column.flags.writeable for column in columns.values())
            assert batch.ts.dtype == np.int64
            rows = np.arange(row, row + len(batch))
            assert np.array_equal(batch.ts, START_NS + rows * 1001)
            assert np.array_equal(batch.caplen, np.array(SIZES)[rows % len(SIZES)])
            assert np.array_equal(batch.origlen, batch.caplen + 4)
            row += len(batch)
    assert row == COUNT


def test_payload(path: Path) -> None:
    with wp.open(path) as capture:
        batch = capture.receive()
        assert batch is not None
        payload = batch.payload
        assert not payload.flags.writeable
        for row in range(len(batch)):
            begin, caplen = int(batch.offset[row]), int(batch.caplen[row])
            assert payload[begin : begin + caplen].tobytes() == content(row)
            assert bytes(batch.data(row)) == content(row)
        assert bytes(batch.data(-1)) == content(len(batch) - 1)
        for row in (len(batch), -len(batch) - 1):
            with pytest.raises(IndexError):
                batch.data(row)


def test_payload_that_was_not_kept_is_said_to_be_gone(path: Path) -> None:
    with wp.open(path) as capture:
        batch = capture.receive()
        assert batch is not None
        kept = batch.origlen
        capture.receive()
        with pytest.raises(wp.ClosedError):
            _ = batch.payload
        assert len(kept) == len(batch)


def test_where_take_copy(path: Path) -> None:
    with wp.open(path) as capture:
        batch = capture.receive()
        assert batch is not None
        large = batch.where(batch.caplen > 1000)
        expected = [row for row in range(len(batch)) if SIZES[row % len(SIZES)] > 1000]
        assert [bytes(large.data(row)) for row in range(len(large))] == [content(row) for row in expected]
        taken = batch.take(np.array([4, 0, 4], dtype=np.uint32))
        assert [bytes(taken.data(row)) for row in range(3)] == [content(4), content(0), content(4)]
        with pytest.raises(IndexError):
            batch.take(np.array([len(batch)], dtype=np.uint32))
        with pytest.raises(ValueError, match="mask"):
            batch.where(np.ones(1, dtype=bool))
        copy = batch.copy()
        size = len(batch)
        while capture.receive() is not None:
            pass
    del batch
    gc.collect()
    assert [bytes(copy.data(row)) for row in range(size)] == [content(row) for row in range(size)]
    assert bytes(taken.data(1)) == content(0)


def test_packets(path: Path) -> None:
    with wp.open(path) as capture:
        for row, packet in enumerate(capture.packets()):
            assert packet.data == content(row)
            assert (packet.ts, packet.caplen, packet.origlen) == (
                START_NS + row * 1001,
                len(content(row)),
                len(content(row)) + 4,
            )
            assert packet.linktype == 1
    assert row == COUNT - 1


def test_asyncio(path: Path) -> None:
    async def count() -> int:
        with wp.open(path) as capture:
            return sum([len(batch) async for batch in capture])

    assert asyncio.run(count()) == COUNT


def test_close(path: Path) -> None:
    capture = wp.open(path)
    batch = capture.receive()
    assert batch is not None
    view, first = batch.data(0), content(0)
    received = capture.stats().received
    capture.close()
    capture.close()
    assert capture.closed
    assert capture.stats().received == received
    assert bytes(view) == first
    with pytest.raises(wp.ClosedError):
        capture.receive()
    with pytest.raises(ValueError, match="closed"):
        capture.set_filter("tcp")


def test_two_receivers_do_not_tear_a_capture(path: Path) -> None:
    """Threads that receive from one capture take turns: between them they get each packet once."""
    got: list[int] = []

    with wp.open(path) as capture:

        def receive() -> None:
            while (batch := capture.receive()) is not None:
                got.append(len(batch))

        threads = [threading.Thread(target=receive) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(got) == COUNT


@pytest.mark.parametrize(
    ("target", "options", "error", "builtin", "says"),
    [
        ("/nowhere/at/all.pcap", {}, wp.NotFoundError, FileNotFoundError, "/nowhere/at/all.pcap"),
        ("no-such-interface-or-file", {}, wp.NotFoundError, FileNotFoundError, "ip link"),
        ("lo", {"engine": "no_such"}, wp.OptionError, ValueError, "no_such"),
        ("FILE", {"block_sise": 4096}, wp.OptionError, ValueError, "block_sise"),
        ("FILE", {"filter": "tcp port"}, wp.FilterError, ValueError, "tcp port"),
        ("lo", {"netns": "no-such-namespace"}, wp.NotFoundError, FileNotFoundError, "ip netns list"),
    ],
)
def test_errors(
    path: Path, target: str, options: dict[str, str], error: type[Exception], builtin: type[Exception], says: str
) -> None:
    """Each is its own class and the built-in one, and says what was being done or what would help."""
    with pytest.raises(error, match=says) as raised:
        wp.open(path if target == "FILE" else target, **options)
    assert isinstance(raised.value, builtin)
    assert isinstance(raised.value, wp.WirepathError)
    assert raised.value.doing


def test_a_directory_is_not_a_capture(tmp_path: Path) -> None:
    with pytest.raises(wp.WirepathError):
        wp.open(tmp_path)


def test_engines_are_described() -> None:
    engines = wp.engines()
    assert {"socket", "replay"} <= {engine.name for engine in engines}
    for engine in engines:
        assert engine.summary
        assert engine.usable or engine.reason
        for option in engine.options:
            assert option.help
            assert not option.choices or option.default in ("", *option.choices)


def test_fileno_wakes_select(path: Path) -> None:
    with wp.open(path) as capture:
        if capture.fileno() >= 0:
            assert select.select([capture], [], [], 5)[0] == [capture]
