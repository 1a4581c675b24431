# SPDX-License-Identifier: Apache-2.0
"""The engine dpdk with the NIC itself: taken from the kernel's driver, captured from, and given back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wirepath as wp
from wirepath import nic
from wirepath.bench.frames import Sender, frame
from wirepath.bench.link import Link
from wirepath.bench.namespace import Namespace

PATIENCE_S = 30.0
_HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """96 of 2 MiB, where the guest has memory for them."""
    before = _HUGE_PAGES.read_text()
    _HUGE_PAGES.write_text("96")
    if int(_HUGE_PAGES.read_text()) < 96:
        pytest.skip("cannot run here: no memory for 96 huge pages")
    yield
    _HUGE_PAGES.write_text(before)


def _new_driver(interface: str, driver: str) -> str:
    """That the NIC is given to: where there is an IOMMU (--iommu) vfio-pci."""
    if (Path("/sys/class/net") / interface / "device" / "iommu_group").exists():
        return "vfio-pci"
    if driver == "igb":
        pytest.skip("cannot run here: igb has no interrupt line, and uio_pci_generic needs one")
    return "uio_pci_generic"


@pytest.fixture
def taken(
    nic_pair: tuple[str, str], driver: str, huge_pages: None, tmp_path: Path
) -> Iterator[tuple[Link, nic.Binding]]:
    """The end that stays the kernel's, and the other one, given to vfio-pci or uio_pci_generic."""
    near, far = nic_pair
    new_driver = _new_driver(far, driver)
    home = Namespace.at("/proc/thread-self/ns/net", "home")
    link = Link(home, near)
    state = tmp_path / "bindings.json"
    binding = nic.bind(far, new_driver, state=state)
    assert nic.bindings(state) == [binding]
    yield link, binding
    assert nic.unbind(far, state=state) == binding, "known by the name that it had"
    assert nic.bindings(state) == []
    assert (Path("/sys/bus/pci/devices") / binding.address / "driver").resolve().name == binding.before
    _name(home, binding.address, far)


def _name(home: Namespace, address: str, name: str) -> None:
    """The interface of a NIC that came home, which the kernel names anew."""
    interfaces = Path("/sys/bus/pci/devices", address, "net")
    until = time.monotonic() + PATIENCE_S
    while not interfaces.exists() and time.monotonic() < until:
        time.sleep(0.1)
    (now,) = (path.name for path in interfaces.iterdir())
    if now != name:
        Link(home, now).set(ifname=name)


def _send(link: Link, frames: list[bytes], capture: wp.Capture) -> list[bytes]:
    """In steps that the NIC's ring has room for."""
    rows: list[bytes] = []
    with Sender(link) as sender:
        for start in range(0, len(frames), 32):
            part = frames[start : start + 32]
            sender.send(part)
            until = time.monotonic() + PATIENCE_S
            while len(rows) < start + len(part) and time.monotonic() < until:
                batch = capture.receive(0.1)
                if batch is not None:
                    rows += [bytes(batch.data(row)) for row in range(len(batch))]
    return rows


@pytest.mark.nic("e1000", "e1000e", "igb")
@pytest.mark.parametrize("wait", ["poll", "interrupt"])
def test_captures_from_the_nic_itself(taken: tuple[Link, nic.Binding], wait: str) -> None:
    near, binding = taken
    frames = [frame(number, 60 + number % 1000) for number in range(500)]
    for _ in range(2):
        with wp.open(binding.address, engine="dpdk", wait=wait) as capture:
            assert capture.sources[0].takes_packets
            assert "not a kernel bypass" not in capture.mode
            near.wait_until_it_sends()
            time.sleep(1)
            assert _send(near, frames, capture) == frames
            stats = capture.stats()
            assert (stats.received, stats.dropped_nic, stats.copied) == (len(frames), 0, 0)
            counted = {one.name: one.during for one in capture.observed}
            assert (counted["rx_good_packets"], counted["rx_mbuf_allocation_errors"]) == (len(frames), 0)


@pytest.mark.nic("e1000e")
def test_packets_in_several_buffers(taken: tuple[Link, nic.Binding]) -> None:
    """Jumbo frames come as chains of mbufs, and are made linear by the function that counts."""
    near, binding = taken
    near.set(mtu=9000)
    frames = [frame(number, size) for number, size in enumerate((1514, 3000, 9014, 64, 9014))]
    with wp.open(binding.address, engine="dpdk", mtu=9000) as capture:
        near.wait_until_it_sends()
        time.sleep(1)
        assert _send(near, frames, capture) == frames
        assert capture.stats().copied == 3
    near.set(mtu=1500)


def _received(capture: wp.Capture, count: int) -> list[bytes]:
    rows: list[bytes] = []
    until = time.monotonic() + PATIENCE_S
    while len(rows) < count and time.monotonic() < until:
        batch = capture.receive(0.2)
        if batch is not None:
            rows += [bytes(batch.data(row)) for row in range(len(batch))]
    return rows


@pytest.mark.nic("e1000", "e1000e", "igb")
def test_sends_on_the_nic_itself(taken: tuple[Link, nic.Binding]) -> None:
    """In order, and what the NIC has sent it counts."""
    near, binding = taken
    frames = [frame(number, 60 + number % 1400) for number in range(600)]
    with wp.open(near.name, engine="tpacket_v3") as capture, wp.open_sender(binding.address, "dpdk") as sender:
        assert "not a kernel bypass" not in sender.info.mode
        near.wait_until_it_sends()
        time.sleep(1)
        for start in range(0, len(frames), 50):  # the other end's ring is short
            assert sender.send(frames[start : start + 50]) == 50
            assert sender.drain(PATIENCE_S)
            assert _received(capture, 50) == frames[start : start + 50]
        assert sender.send([frame(1, 1515)]) == 1
        stats = sender.stats()
    assert (stats.queued, stats.completed, stats.errors, stats.too_big) == (600, 600, 1, 1)
