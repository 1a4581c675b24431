# SPDX-License-Identifier: Apache-2.0
"""`wirepath.nic` over drivers of NICs, against what ethtool says of the same interface."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

import wirepath as wp
from wirepath import nic
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link
from wirepath.bench.namespace import Namespace
from wirepath.bench.nic_wire import arrival_s

IFF_PROMISC = 0x100


def ethtool(letter: str, name: str) -> str:
    """What ethtool prints; nothing where the driver refuses."""
    done = subprocess.run(["ethtool", letter, name], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else ""


def tc(*words: str) -> None:
    subprocess.run(["tc", *words], timeout=60, check=True)


@contextlib.contextmanager
def sending(pair: tuple[str, str]) -> Iterator[Sender]:
    """From the near end, while the far one takes packets for whomever."""
    near, far = pair
    with Namespace.at("/proc/thread-self/ns/net", "home") as home, Sender(Link(home, near)) as sender:
        receiver = Link(home, far)
        receiver.set(flags=IFF_PROMISC, change=IFF_PROMISC)
        time.sleep(arrival_s(receiver.driver))
        yield sender
        time.sleep(arrival_s(receiver.driver))
        receiver.set(flags=0, change=IFF_PROMISC)


def number(text: str, label: str) -> int | None:
    found = re.search(rf"^{re.escape(label)}:\s+(\S+)", text, re.MULTILINE)
    return int(found[1]) if found is not None and found[1].isdecimal() else None


def test_the_driver(nic_pair: tuple[str, str], driver: str) -> None:
    found, text = nic.read(nic_pair[1]).driver, ethtool("-i", nic_pair[1])
    lines = dict(line.partition(": ")[::2] for line in text.splitlines())
    assert found.name == lines["driver"] == driver
    assert (found.version, found.firmware) == (lines["version"], lines["firmware-version"])
    assert found.bus_info == lines["bus-info"]


@pytest.mark.nic("e1000", "e1000e", "igb", "virtio_net", "vmxnet3")
def test_the_pci_device(nic_pair: tuple[str, str], driver: str) -> None:
    found = nic.read(nic_pair[1]).driver
    vendors = {"virtio_net": "0x1af4", "vmxnet3": "0x15ad"}
    assert found.pci_vendor == vendors.get(driver, "0x8086")
    assert (found.virtio_features is not None) is (driver == "virtio_net")


def test_rings(nic_pair: tuple[str, str]) -> None:
    found, text = nic.read(nic_pair[1]).rings, ethtool("-g", nic_pair[1])
    most, _, now = text.partition("Current hardware settings:")
    if found is None:
        assert not now or "n/a" in now
        return
    assert (found.rx, found.tx) == (number(now, "RX"), number(now, "TX"))
    assert (found.rx_max, found.tx_max) == (number(most, "RX"), number(most, "TX"))


def test_channels(nic_pair: tuple[str, str]) -> None:
    found, text = nic.read(nic_pair[1]).channels, ethtool("-l", nic_pair[1])
    if found is None:
        assert text == ""
        return
    most, _, now = text.partition("Current hardware settings:")
    assert (found.rx, found.combined) == (number(now, "RX"), number(now, "Combined"))
    assert (found.rx_max, found.combined_max) == (number(most, "RX"), number(most, "Combined"))


def test_coalescing(nic_pair: tuple[str, str]) -> None:
    found, text = nic.read(nic_pair[1]).coalescing, ethtool("-c", nic_pair[1])
    if found is None:
        assert text == ""
        return
    assert found.rx_usecs == number(text, "rx-usecs")
    assert found.rx_max_frames == number(text, "rx-frames")
    adaptive = re.search(r"Adaptive RX: (\S+)", text)[1]
    assert found.adaptive_rx is {"on": True, "off": False}.get(adaptive)


def test_rss(nic_pair: tuple[str, str]) -> None:
    found, text = nic.read(nic_pair[1]).rss, ethtool("-x", nic_pair[1])
    rows = re.findall(r"^\s+\d+:((?:\s+\d+)+)$", text, re.MULTILINE)
    told = tuple(int(word) for row in rows for word in row.split())
    assert (found.indirection if found is not None else ()) == told
    key = re.search(r"^((?:[0-9a-f]{2}:)+[0-9a-f]{2})$", text, re.MULTILINE)
    assert (found.key.hex(":") if found is not None else "") == (key[1] if key is not None else "")


def test_offloads(nic_pair: tuple[str, str]) -> None:
    found, text = nic.read(nic_pair[1]).offloads, ethtool("-k", nic_pair[1])
    legacy = {"generic-receive-offload": "rx-gro", "large-receive-offload": "rx-lro"}
    legacy |= {"rx-vlan-offload": "rx-vlan-hw-parse", "rx-checksumming": "rx-checksum"}
    compared = 0
    for line in text.splitlines()[1:]:
        name, _, state = line.strip().partition(": ")
        feature = found.get(legacy.get(name, name))
        if feature is not None:
            compared += 1
            assert (feature.active, feature.changeable) == (state.startswith("on"), "[fixed]" not in state), line
    assert compared > 40


def test_clocks(nic_pair: tuple[str, str], driver: str) -> None:
    found, text = nic.read(nic_pair[1]).timestamping, ethtool("-T", nic_pair[1])
    told = re.search(r"PTP Hardware Clock: (\S+)", text)[1]
    assert told == ("none" if found.phc is None else str(found.phc))
    for word in (*found.capabilities, *found.rx_filters):
        assert re.search(rf"^\s+{re.escape(word)}\b", text, re.MULTILINE), word
    assert ("hardware-receive" in found.capabilities) is (driver in ("e1000e", "igb"))


def test_speed(nic_pair: tuple[str, str]) -> None:
    done = subprocess.run(["ethtool", nic_pair[1]], capture_output=True, text=True, timeout=60, check=True)
    told = re.search(r"Speed: (\d+)Mb/s", done.stdout)
    assert nic.read(nic_pair[1]).speed.mbps == (int(told[1]) if told else None)


@pytest.mark.nic("e1000", "e1000e", "igb", "virtio_net", "vmxnet3")
def test_interrupts_and_packets_move_together(nic_pair: tuple[str, str]) -> None:
    meter = nic.Meter(nic_pair[1])
    with sending(nic_pair) as sender:
        for each in range(100):
            sender.send([frame(each)])
            time.sleep(0.005)
    time.sleep(2.5)  # for drivers that read the NIC's counters every other second only
    activity = meter.next()
    assert activity.link["rx_packets"] * activity.seconds == pytest.approx(100, abs=10)  # others may send, too
    interrupts = activity.interrupts.value * activity.seconds
    assert 0 < interrupts <= 1000
    assert activity.polls.how == "measured"
    received = activity.packets_per_poll.value * activity.polls.value * activity.seconds
    assert received == pytest.approx(100, abs=10)


@pytest.mark.nic("e1000", "e1000e", "igb", "virtio_net", "vmxnet3")
def test_the_interrupt_of_the_queue_is_one_that_counts(nic_pair: tuple[str, str]) -> None:
    far = nic_pair[1]
    before, how = nic.read(far).irq_of(0)
    assert before is not None
    assert how in ("measured", "inferred")
    with sending(nic_pair) as sender:
        for each in range(50):
            sender.send([frame(each)])
            time.sleep(0.005)
    after, _ = nic.read(far).irq_of(0)
    assert after.number == before.number
    assert after.total > before.total


@pytest.mark.since("6.8")
@pytest.mark.nic("e1000e", "igb", "virtio_net")
def test_the_kernel_tells_napi_instances(nic_pair: tuple[str, str]) -> None:
    found = nic.read(nic_pair[1])
    assert found.napi
    napi, how = found.napi_of(0)
    tied = any(row.rx_queues for row in found.napi)
    assert how == ("measured" if tied else "inferred" if len(found.napi) == found.receive_queues else "unknown")
    assert (napi is None) is (how == "unknown")


def test_what_this_kernel_does_not_have_is_named(nic_pair: tuple[str, str], kernel_version: tuple[int, int]) -> None:
    found = nic.read(nic_pair[1])
    for field, since in (("xdp_features", (6, 3)), ("napi", (6, 8)), ("tcx", (6, 6))):
        if kernel_version < since:
            assert getattr(found, field) is None
            assert f"Linux {since[0]}.{since[1]} and later" in found.missing[field]
        else:
            assert getattr(found, field) is not None, found.missing


def test_a_tc_filter_that_drops(nic_pair: tuple[str, str]) -> None:
    name = nic_pair[1]
    try:
        for line in (
            "qdisc add dev {} clsact",
            "filter add dev {} ingress prio 9 protocol 0x1234 matchall action drop",
        ):
            subprocess.run(["tc", *line.format(name).split()], check=True)
        (found,) = nic.read(name).tc
        assert (found.direction, found.kind, found.priority, found.protocol) == ("ingress", "matchall", 9, 0x1234)
        assert found.actions == ("drop",)
    finally:
        tc("qdisc", "del", "dev", name, "clsact")
    assert nic.read(name).tc == ()


@pytest.mark.parametrize("way", [("native", "zero_copy"), ("native", "copy"), ("generic", "copy")], ids=" ".join)
def test_the_engine_does_what_was_foretold(wire: Wire, way: tuple[str, str]) -> None:
    xdp_mode, mode = way
    wanted = (f"xdp_mode={xdp_mode}",) if xdp_mode == "generic" else (f"xdp_mode={xdp_mode}", f"mode={mode}")
    where = wire.far.namespace.path
    (foretold,) = [
        row for row in nic.ways(nic.read(wire.far.name, where)) if row.engine == "af_xdp" and row.options == wanted
    ]
    try:
        with wp.open(wire.far.name, engine="af_xdp", netns=where, xdp_mode=xdp_mode, mode=mode):
            (program,) = nic.read(wire.far.name, where).xdp
            assert program.mode == xdp_mode
            worked = True
    except (wp.UnsupportedError, wp.SystemCallError) as refused:
        print(refused)
        worked = False
    if foretold.works is None:
        pytest.skip(
            f"cannot run here: this kernel does not tell: {foretold.why}; it {'works' if worked else 'does not'}"
        )
    assert foretold.works is worked, foretold.why
