# SPDX-License-Identifier: Apache-2.0
"""Senders end at once, whatever happens to them, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import wirepath as wp
from senders.outlet import PATIENCE_S, Outlet, collect, wait_until
from wirepath.bench.frames import frame


def test_interrupt_while_blocked(outlet: Outlet) -> None:
    if not outlet.variant.through_qdisc:
        pytest.skip("cannot run here: nothing makes a veth refuse frames that go past its queueing discipline")
    outlet.slow_down()
    frames = [frame(number, 1400) for number in range(5000)]
    done: list[int] = []
    with outlet.open() as sender:
        thread = threading.Thread(target=lambda: done.append(sender.send(frames)), daemon=True)
        thread.start()
        assert wait_until(lambda: sender.stats().waits > 0)
        assert thread.is_alive()
        asked = time.monotonic()
        sender.interrupt()
        thread.join(PATIENCE_S)
        assert time.monotonic() - asked < 1
        assert 0 < done[0] < len(frames)
        assert sender.stats().queued == done[0]
        assert sender.send(frames, timeout=0.05) < len(frames), "and it can go on, but there is no room"
        assert sender.drain(0.05) is not outlet.variant.knows_what_is_under_way


def test_interrupt_before(outlet: Outlet) -> None:
    with outlet.open() as sender:
        sender.interrupt()
        assert sender.send([frame(1)]) == 0
        assert sender.send([frame(1)]) == 1


def test_down(outlet: Outlet) -> None:
    with outlet.open() as sender:
        assert sender.send([frame(1)]) == 1
        outlet.wire.near.set(state="down")
        with pytest.raises(wp.InterfaceGoneError, match=r"went down.*ip link set gen0 up"):
            sender.send([frame(2)])
        assert sender.drain(5), "what was queued is done with, one way or the other"
        outlet.wire.near.set(state="up")
        outlet.wire.near.wait_until_it_sends()
        assert sender.send([frame(3)]) == 1
    outlet.wire.near.set(state="down")
    with pytest.raises(wp.InterfaceGoneError, match="it is down"):
        outlet.open()


def test_gone(outlet: Outlet) -> None:
    """Also in the midst of sending."""
    failed: list[Exception] = []

    def flood(sender: wp.Sender) -> None:
        frames = [frame(number) for number in range(1000)]
        try:
            while True:
                sender.send(frames)
        except wp.WirepathError as error:
            failed.append(error)

    with outlet.open() as sender:
        thread = threading.Thread(target=flood, args=(sender,), daemon=True)
        thread.start()
        assert wait_until(lambda: sender.stats().queued > 1000)
        outlet.wire.near.delete()
        thread.join(PATIENCE_S)
        assert isinstance(failed[0], wp.InterfaceGoneError)
        assert "gen0" in str(failed[0])


def test_closed(outlet: Outlet) -> None:
    sender = outlet.open()
    sender.send([frame(1)])
    sender.close()
    sender.close()
    assert sender.closed
    assert sender.stats().queued == 1
    with pytest.raises(wp.ClosedError):
        sender.send([frame(1)])


def test_child_is_refused(outlet: Outlet) -> None:
    with outlet.open() as sender:
        child = os.fork()
        if child == 0:
            try:
                sender.send([frame(1)])
            except wp.ClosedError:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert sender.send([frame(1)]) == 1


def test_killed(outlet: Outlet) -> None:
    """kill -9 in the midst of sending leaves nothing that is in the way of the next sender, also on the same queue."""
    code = (
        "import wirepath as wp\n"
        "from wirepath.bench.frames import frame\n"
        f"with wp.open_sender({outlet.wire.near.name!r}, {outlet.variant.engine!r},"
        f" netns={outlet.wire.near.namespace.path!r}, **{outlet.variant.options!r}) as sender:\n"
        "    while True:\n"
        "        sender.send([frame(number) for number in range(1000)])\n"
    )
    before = outlet.wire.far.counters().rx_packets
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert wait_until(lambda: outlet.wire.far.counters().rx_packets - before > 1000)
        process.kill()
    with outlet.watched(filter="udp dst port 4242") as capture, outlet.open() as sender:
        assert sender.send([frame(1, port=4242)]) == 1
        assert collect(capture, 1) == [frame(1, port=4242)]


def _held() -> dict[str, int]:
    status = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return {
        "fds": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "mappings": len(Path("/proc/self/maps").read_text(encoding="ascii").splitlines()),
        "rss_kib": int(status[1]) * 4,
    }


def test_no_leak(outlet: Outlet, request: pytest.FixtureRequest) -> None:
    """200 opens (--opens says another number) leave what 20 left."""

    def open_and_close(times: int) -> None:
        for number in range(times):
            with outlet.open() as sender:
                sender.send([frame(number)])

    allowed = {"fds": 0, "mappings": 8, "rss_kib": 6144}
    open_and_close(20)
    before = _held()
    open_and_close(request.config.getoption("--opens"))
    grown = {name: count - before[name] for name, count in _held().items() if count - before[name] > allowed[name]}
    assert not grown
