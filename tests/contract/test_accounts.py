# SPDX-License-Identifier: Apache-2.0
"""Every packet is accounted for, on every queue and with several workers, also when the rings overflow."""

from __future__ import annotations

import threading
import time

import pytest

import wirepath as wp
from contract.subject import PATIENCE_S, Live, Scaled, collect, drain
from wirepath.bench.accounts import account
from wirepath.bench.frames import Sender, frame


def test_overflow(live: Live, scaled: Scaled) -> None:
    """Nobody receives until far more was sent than there is room for."""
    frames = [frame(number, 1000) for number in range(scaled(30_000, 3000))]
    with live.open(**live.variant.small) as capture:
        sent = live.send(frames)
        rows = drain(capture)
        found = account(sent, capture.stats())
    assert found.sent == len(frames)
    assert found.received == len(rows)
    assert found.unexplained == 0, found
    assert sum(found.lost.values()) > 0, "nothing overflowed: this proves nothing"
    numbers = [row.number for row in rows]
    assert numbers == sorted(set(numbers))  # type: ignore[type-var]
    assert all(row.data == frames[row.number] for row in rows if row.number is not None)


def test_overflow_while_receiving(live: Live, scaled: Scaled) -> None:
    """Bursts against a receiver that stalls between them: the counters stay exact from one to the next."""
    size = scaled(5000, 1500)
    with live.open(**live.variant.small) as capture:
        before = live.wire.sent()
        received = 0
        for burst in range(6):
            live.send([frame(burst * size + number, 200) for number in range(size)])
            received += len(drain(capture, quiet=0.1))
            found = account(live.wire.sent() - before, capture.stats())
            assert found.unexplained == 0, (burst, found)
            assert found.received == received


def test_every_packet_of_a_run(live: Live, scaled: Scaled) -> None:
    """The native pipeline, while a generator sends as fast as it can."""
    count = scaled(60_000, 5000)
    sink = wp.CountSink()

    def send() -> None:
        time.sleep(0.2)
        live.send([frame(number, 300) for number in range(count)])

    with live.open() as capture:
        before = live.wire.sent()
        thread = threading.Thread(target=send)
        thread.start()
        run = wp.run(capture, sink, seconds=60, progress=lambda packets, _: not thread.is_alive() and _quiet(packets))
        thread.join()
        found = account(live.wire.sent() - before, capture.stats())
    assert found.sent == count
    assert sink.packets == run.packets == found.received
    assert found.unexplained == 0, found


_last = [-1]


def _quiet(packets: int) -> bool:
    """Whether no packet came since the last time this was asked."""
    same = packets == _last[0]
    _last[0] = packets
    return same


# The sending end of a veth chooses a queue by the hash of addresses and ports.
FLOWS = 100


def _flows(count: int) -> list[bytes]:
    return [frame(number, port=1000 + number % FLOWS) for number in range(count)]


@pytest.mark.wire(queues=4)
def test_every_queue(live: Live) -> None:
    """Frames of each receive queue come, each once, and in the order of their queue."""
    _need_queues(live)
    frames = _flows(2000)
    with live.open() as capture:
        live.send(frames)
        rows = collect(capture, len(frames))
        assert drain(capture) == []
        assert capture.stats().received == len(frames)
    assert sorted(row.data for row in rows) == sorted(frames)
    for flow in range(FLOWS):
        numbers = [row.number for row in rows if row.number is not None and row.number % FLOWS == flow]
        assert numbers == list(range(flow, len(frames), FLOWS))


def _need_queues(live: Live) -> None:
    if live.variant.combined_queues and live.wire.driver == "veth":
        pytest.skip("cannot run here: the driver takes queues that receive and send, of which a veth tells one")


def _need_workers(live: Live) -> None:
    _need_queues(live)
    if live.variant.workers is None:
        pytest.skip("the engine has one receiver an interface")
    if not live.variant.workers and live.wire.queues == 1:
        pytest.skip("cannot run here: a worker is a receive queue, and this NIC has one")


@pytest.mark.wire(queues=4)
def test_several_workers(live: Live) -> None:
    """Several receivers share what comes: each packet once, none lost, over all of them."""
    _need_workers(live)
    count = 4000
    with live.open(**live.variant.workers) as capture:
        assert len(capture.sources) > 1
        live.send(_flows(count))
        rows = collect(capture, count)
        stats = capture.stats()
    assert sorted(row.number for row in rows if row.number is not None) == list(range(count))
    assert len({row.queue for row in rows}) > 1, "one receiver got them all"
    assert stats.received == count


@pytest.mark.wire(queues=4)
def test_several_workers_run(live: Live) -> None:
    """The same through the native pipeline, a thread each."""
    _need_workers(live)
    count = 4000
    sink = wp.CountSink()
    with live.open(**live.variant.workers) as capture:
        thread = threading.Thread(target=live.send, args=(_flows(count),))
        thread.start()
        run = wp.run(capture, sink, count=count, seconds=PATIENCE_S)
        thread.join()
    assert sink.packets == run.packets == count


def test_two_at_once(live: Live) -> None:
    """A tap sees what another tap sees; what takes packets, or is alone at its hook, refuses a second one, by name."""
    frames = [frame(number) for number in range(200)]
    with live.open() as first:
        if first.sources[0].takes_packets or live.variant.alone:
            with pytest.raises((wp.BusyError, wp.RefusedError)) as refused:
                live.open()
            assert live.wire.far.name in str(refused.value)
            live.send(frames)
            assert [row.data for row in collect(first, 200)] == frames
            return
        with live.open() as second, Sender(live.wire.near):
            live.send(frames)
            assert [row.data for row in collect(first, 200)] == frames
            assert [row.data for row in collect(second, 200)] == frames
