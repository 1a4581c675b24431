# SPDX-License-Identifier: Apache-2.0
"""`wirepath copies` against what is known of real kernels and drivers: how often each engine has a packet copied."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time

import pytest

from net.loaded import ids
from wirepath.trace.copies import Measurement, Report, measure
from wirepath.trace.pair import Pair

PACKETS = 300
SMALL, LARGE = 200, 1000  # bytes: below and above what the e1000 family copies out of its buffers (copybreak, 256)
COPYBREAK = ("e1000", "e1000e")
NATIVE_XDP = {"igb": (6, 1), "virtio_net": (6, 1), "vmxnet3": (6, 12), "veth": (6, 1)}  # driver: since
ZERO_COPY = {"igb": (7, 3), "virtio_net": (7, 3)}
PATIENCE_S = 60.0


@functools.cache
def report_of(near: str, far: str) -> Report:
    return measure(Pair.named(f"{near},{far}"), sizes=(SMALL, LARGE), count=PACKETS)


@pytest.fixture
def report(nic_pair: tuple[str, str]) -> Report:
    return report_of(*nic_pair)


def found(report: Report, engine: str, mode: str, size: int) -> Measurement:
    (one,) = (each for each in report.measurements if (each.engine, each.mode, each.size) == (engine, mode, size))
    return one


def kernel_copies(one: Measurement) -> dict[str, tuple[float, float]]:
    """Calls and bytes a packet of what copied in the stack; the driver and Wirepath are looked at by themselves."""
    assert (one.problem, one.sent, one.received) == ("", PACKETS, PACKETS)
    copying = [
        count
        for count in one.counts
        if count.role in ("copy", "helper") and count.calls.value and count.function not in ("driver_copy", "wirepath")
    ]
    assert all(count.calls.how == "measured" for count in copying), "only what was observed"
    return {count.function: (count.calls.value or 0, count.bytes.value or 0) for count in copying}


@pytest.fixture
def driver_copies(driver: str) -> dict[int, float]:
    """How often the driver copies a frame of each size."""
    return {SMALL: 1.0 if driver in COPYBREAK else 0.0, LARGE: 0.0}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_recv_copies_every_byte_once(report: Report, size: int) -> None:
    assert kernel_copies(found(report, "socket", "default", size)) == {"skb_copy_datagram_iter": (1, size)}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("engine", ["tpacket_v3", "pcap"])
def test_the_ring_takes_one_copy(report: Report, engine: str, size: int) -> None:
    one = found(report, engine, "default", size)
    assert kernel_copies(one) == {"skb_copy_bits": (1, size)}
    assert one.count("wirepath").bytes.value == (size if engine == "pcap" else 0)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("engine", ["socket", "tpacket_v3", "pcap"])
def test_copybreak_is_one_more(report: Report, engine: str, size: int, driver_copies: dict[int, float]) -> None:
    driver = found(report, engine, "default", size).count("driver_copy")
    assert (driver.calls.value, driver.calls.how) == (driver_copies[size], "inferred")
    assert driver.bytes.value == driver_copies[size] * size


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_generic_xdp_takes_two(report: Report, size: int, driver_copies: dict[int, float], driver: str) -> None:
    one = found(report, "af_xdp", "generic", size)
    copies = kernel_copies(one)
    assert copies.pop("__xsk_rcv") == (1, size)
    # The other makes room in front of the packet: pskb_expand_head before 6.10, skb_pp_cow_data (skb_copy_bits) since.
    ((function, (calls, bytes_)),) = copies.items()
    assert function in ("pskb_expand_head", "skb_copy_bits")
    assert (calls, bytes_) == (1, size)
    assert one.copies.value == 2 + driver_copies[size]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_native_xdp_takes_one(report: Report, driver: str, kernel_version: tuple[int, int], size: int) -> None:
    one = found(report, "af_xdp", "native copy", size)
    if driver not in NATIVE_XDP or kernel_version < NATIVE_XDP[driver]:
        assert one.problem
        pytest.skip(f"cannot run here: {driver} has no native XDP on this kernel")
    copies = kernel_copies(one)
    assert copies.pop("__xsk_rcv") == (1, size)
    # veth has no receive buffers: it must first move the sender's sk_buff into a page that XDP can use.
    assert copies == ({"skb_copy_bits": (1, size)} if driver == "veth" else {})


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_zero_copy_takes_none(report: Report, driver: str, kernel_version: tuple[int, int], size: int) -> None:
    one = found(report, "af_xdp", "zero-copy", size)
    if driver not in ZERO_COPY or kernel_version < ZERO_COPY[driver]:
        assert one.problem
        assert {count.calls.how for count in one.counts} <= {"reference", "unknown"}
        pytest.skip(f"cannot run here: {driver} has no zero-copy on this kernel")
    assert kernel_copies(one) == {}
    assert one.granted.startswith("zero_copy")
    assert one.count("xdp_redirect").calls.value == 1.0
    assert one.copies.value == 0.0


def test_interrupts_are_the_nics_own(report: Report, driver: str) -> None:
    figure = found(report, "socket", "default", LARGE).count("irq_handler_entry").calls
    if driver == "veth":
        assert (figure.value, figure.how) == (0, "inferred")
    else:
        assert figure.how == "measured"
        assert 0.05 < (figure.value or 0) < 3


def test_what_this_kernel_lacks_is_named(report: Report, kernel_version: tuple[int, int]) -> None:
    one = found(report, "socket", "default", LARGE)
    unobserved = {count.function: count for count in one.counts if not count.observed_by}
    expected = set()
    if kernel_version < (6, 8):
        expected.add("skb_pp_cow_data")
    if kernel_version >= (7, 3):
        expected.add("bpf_ringbuf_output")
    assert set(unobserved) == expected
    for count in unobserved.values():
        assert count.function in count.reason
        assert count.calls.how in ("reference", "unknown")


def test_killing_it_leaves_no_program(nic_pair: tuple[str, str]) -> None:
    before = ids("prog"), ids("link")
    pair = ["--pair", ",".join(nic_pair)]
    command = [sys.executable, "-m", "wirepath", "copies", *pair, "--engine", "socket", "--count", "100000"]
    until = time.monotonic() + PATIENCE_S
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as tool:
        try:
            while len(ids("link") - before[1]) < 30 and time.monotonic() < until:
                time.sleep(0.2)
            attached = len(ids("link") - before[1])
        finally:
            tool.send_signal(signal.SIGKILL)
    assert attached >= 30
    while (ids("prog") - before[0] or ids("link") - before[1]) and time.monotonic() < until:
        time.sleep(0.2)
    assert (ids("prog") - before[0], ids("link") - before[1]) == (set(), set())
