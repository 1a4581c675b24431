# SPDX-License-Identifier: Apache-2.0
"""`wirepath copies` in the lab, with what tracepoints alone can measure: this holds on a locked-down kernel, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from net.loaded import ids
from wirepath import _core
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.trace.copies import Measurement, Report, measure
from wirepath.trace.pair import Endpoint, Pair

PACKETS = 300
SIZES = (200, 1000)
PATIENCE_S = 30.0

pytestmark = pytest.mark.wire(mtu=1500)


@pytest.fixture(autouse=True)
def _tracepoints() -> None:
    usable = {kind: reason for kind, works, reason in _core.trace_hooks() if not works}
    if "tp_btf" in usable:
        pytest.skip(f"cannot run here: tracepoints: {usable['tp_btf']}")


def pair_of(wire: Wire) -> Pair:
    return Pair(*(Endpoint(end.name, end.namespace.path) for end in (wire.near, wire.far)))


def by_size(report: Report) -> dict[int, Measurement]:
    return {one.size: one for one in report.measurements}


def test_recv_copies_each_byte_once(wire: Wire) -> None:
    report = measure(pair_of(wire), engines=["socket"], sizes=SIZES, count=PACKETS)
    for size, one in by_size(report).items():
        assert (one.sent, one.received, one.problem) == (PACKETS, PACKETS, "")
        count = one.count("skb_copy_datagram_iter")
        assert (count.calls.value, count.calls.how) == (1.0, "measured")
        assert (count.bytes.value, count.bytes.how) == (size, "measured")


def test_what_others_send_is_not_counted(wire: Wire) -> None:
    stop = threading.Event()

    def disturb() -> None:
        with Sender(wire.near) as other:
            while not stop.is_set():
                other.send([frame(7, 600)] * 4)
                time.sleep(0.001)

    others = threading.Thread(target=disturb)
    others.start()
    try:
        (one,) = measure(pair_of(wire), engines=["socket"], sizes=[200], count=PACKETS).measurements
    finally:
        stop.set()
        others.join()
    assert one.received == PACKETS
    assert one.count("skb_copy_datagram_iter").bytes.value == 200.0
    assert one.count("netif_receive_skb").calls.value == 1.0


def test_what_was_not_observed_is_never_zero(wire: Wire) -> None:
    for one in measure(pair_of(wire), engines=["socket", "tpacket_v3"], sizes=[200], count=PACKETS).measurements:
        for count in one.counts:
            if count.observed_by:
                assert count.calls.how in ("measured", "inferred"), count
            else:
                assert count.reason, count
                assert count.calls.how in ("reference", "unknown"), count
                assert count.calls.detail, count


def test_wirepaths_own_copies_are_counted(wire: Wire) -> None:
    """libpcap's buffer dies at the next call: the engine copies out of it."""
    (one,) = measure(pair_of(wire), engines=["pcap"], sizes=[200], count=PACKETS).measurements
    assert one.count("wirepath").bytes.value == 200.0
    (one,) = measure(pair_of(wire), engines=["socket"], sizes=[200], count=PACKETS).measurements
    assert one.count("wirepath").bytes.value == 0.0


def test_the_receiving_thread_is_watched(wire: Wire) -> None:
    (one,) = measure(pair_of(wire), engines=["socket"], sizes=[200], count=PACKETS).measurements
    assert set(one.system_calls) >= {"recvmmsg", "ppoll"}
    calls = sum(figure.value or 0 for figure in one.system_calls.values())
    assert calls == pytest.approx(one.count("sys_enter").calls.value)
    assert 0 < (one.count("sched_waking").calls.value or 0) <= 1.1
    assert 0 < (one.count("napi_poll").calls.value or 0) <= 1.0


def test_a_mode_that_is_not_granted_shows_references_only(wire: Wire) -> None:
    usable = {row[0]: _core.probe(row[0])[0] for row in [("af_xdp",)]}
    if not usable["af_xdp"]:
        pytest.skip("cannot run here: af_xdp")
    found = {one.mode: one for one in measure(pair_of(wire), engines=["af_xdp"], sizes=[200], count=50).measurements}
    refused = found["zero-copy"]  # veth has none
    assert refused.problem
    assert {count.calls.how for count in refused.counts} <= {"reference", "unknown"}
    assert found["generic"].count("xdp_redirect").calls.value == 1.0


def test_what_is_no_device_has_no_dma(wire: Wire) -> None:
    """Bridges, tun and others name a bus that there is not."""
    with wire.far.namespace.routes() as routes:
        routes.link("add", ifname="br0", kind="bridge")
    for name in ("br0", wire.far.name):
        end = Endpoint(name, wire.far.namespace.path)
        assert (end.is_device(), end.irqs()) == (False, None)


def test_a_sender_that_cannot_send_says_so_in_a_line(wire: Wire) -> None:
    command = [sys.executable, "-m", "wirepath.trace.sender", str(os.getpid()), "eth9", wire.near.namespace.path]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr == "wirepath: sending known packets on eth9: No such device\n"


def wait_until(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def test_killing_it_leaves_nothing(wire: Wire) -> None:
    before = ids("prog"), ids("link")
    command = [sys.executable, "-m", "wirepath", "copies", "--engine", "socket", "--count", "200000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as tool:
        try:
            assert wait_until(lambda: len(ids("prog") - before[0]) >= 10)
            (sender,) = children_of(tool.pid)
            ours = ids("prog") - before[0], ids("link") - before[1]
            assert ours[1]
        finally:
            tool.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not ours[0] & ids("prog"))
    assert wait_until(lambda: not ours[1] & ids("link"))
    assert wait_until(lambda: not Path(f"/proc/{sender}").exists())
