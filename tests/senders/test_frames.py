# SPDX-License-Identifier: Apache-2.0
"""What was sent is what is received, in order, and each frame that was not is counted."""

from __future__ import annotations

import threading

import pytest

import wirepath as wp
from senders.outlet import PATIENCE_S, Outlet, collect, wait_until
from wirepath.bench.frames import frame

_VLAN = 0x8100


def test_in_order(outlet: Outlet) -> None:
    frames = [frame(number, 60 + number % 1400) for number in range(3000)]
    with outlet.watched() as capture, outlet.open() as sender:
        assert sender.send(frames) == len(frames)
        assert sender.drain(10)
        assert collect(capture, len(frames)) == frames
        stats = sender.stats()
    assert (stats.queued, stats.queued_bytes) == (len(frames), sum(map(len, frames)))
    assert stats.completed in (None, len(frames))
    assert stats.errors == 0


def test_tag_in_metadata_is_put_back(outlet: Outlet) -> None:
    """Frames whose tag the kernel took out go out again as they came in."""
    frames = [frame(number, 90, tags=((_VLAN, 0x2000 | number),)) for number in range(1, 40)]
    with outlet.watched() as capture, outlet.open() as sender:
        sender.send(frames)
        received = []
        while len(received) < len(frames) and (batch := capture.receive(2)) is not None:
            received.append(batch.copy())
        assert all((batch.vlan_tpid == _VLAN).all() for batch in received), "no tag in metadata: nothing is tested"
        assert sum(sender.send(batch) for batch in received) == len(frames)
        assert collect(capture, len(frames)) == frames


def test_mtu(outlet: Outlet) -> None:
    """The largest frame passes, with a tag four bytes more; a larger one is counted, and the next goes out."""
    outlet.wire.near.set(mtu=1500)
    largest, tagged = frame(1, 1514), frame(2, 1514, tags=((_VLAN, 5),))
    with outlet.watched() as capture, outlet.open() as sender:
        frames = [largest, frame(3, 1515), tagged, frame(4, 1515, tags=((_VLAN, 5),)), frame(5, 9000), frame(6, 60)]
        assert sender.send(frames) == len(frames)
        assert collect(capture, 3) == [largest, tagged, frames[-1]]
        assert (sender.stats().errors, sender.stats().too_big, sender.stats().queued) == (3, 3, 3)


def test_mtu_lowered_meanwhile(outlet: Outlet) -> None:
    """In the midst of frames the kernel refuses one that would have fit before, or it lets it pass: both are said."""
    with outlet.watched() as capture, outlet.open() as sender:
        outlet.wire.near.set(mtu=1000)
        frames = [frame(number, 1400 if number == 20 else 100) for number in range(50)]
        assert sender.send(frames) == 50
        stats = sender.stats()
        assert (stats.queued, stats.errors) in {(50, 0), (49, 1)}
        assert stats.too_big == stats.errors
        assert collect(capture, stats.queued) == (frames if stats.errors == 0 else frames[:20] + frames[21:])


def test_mtu_lowered_while_frames_wait(outlet: Outlet) -> None:
    """Frames that were handed over and not yet taken are refused, and those before and behind them still go out."""
    if not outlet.variant.through_qdisc:
        pytest.skip("cannot run here: nothing makes a veth refuse frames that go past its queueing discipline")
    if not outlet.variant.tells_what_waited_in_vain:
        pytest.skip("cannot run here: DPDK's driver has the kernel drop them, and does not tell")
    outlet.slow_down()
    frames = [frame(number, 1400 if number < 1000 else 100) for number in range(1100)]
    with outlet.watched() as capture, outlet.open() as sender:
        thread = threading.Thread(target=sender.send, args=(frames,), daemon=True)
        thread.start()
        assert wait_until(lambda: sender.stats().waits > 0)
        outlet.wire.near.set(mtu=1000)
        outlet.speed_up()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        stats = sender.stats()
        assert stats.queued + stats.errors == len(frames)
        assert stats.errors == stats.too_big > 0
        # Not in order: where two CPUs empty the queue, each has a backlog of its own at the other end of a veth.
        assert sorted(collect(capture, stats.queued)) == sorted(frames[: 1000 - stats.errors] + frames[1000:])


def test_shorter_than_a_header(outlet: Outlet) -> None:
    with outlet.watched() as capture, outlet.open() as sender:
        assert sender.send([b"", b"0123456789abc", frame(1)]) == 3
        assert collect(capture, 1) == [frame(1)]
        assert (sender.stats().errors, sender.stats().too_big, sender.stats().queued) == (2, 0, 1)


def test_jumbo(outlet: Outlet) -> None:
    if outlet.variant.longest < 9014:
        pytest.skip(f"cannot run here: {outlet.variant.name} sends {outlet.variant.longest} bytes at the most")
    if outlet.variant.mtu is not None:
        pytest.skip(f"cannot run here: it takes an MTU of {outlet.variant.mtu}")
    frames = [frame(number, 9014) for number in range(64)]
    with outlet.watched() as capture, outlet.open() as sender:
        sender.send(frames)
        assert collect(capture, len(frames)) == frames


def test_unknown_option(outlet: Outlet) -> None:
    with pytest.raises(wp.OptionError, match="no_such_thing"):
        outlet.open(no_such_thing=1)
