# SPDX-License-Identifier: Apache-2.0
"""Which engine works on which NIC, and which is recommended: on NICs made up from this host's loopback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wirepath import nic
from wirepath.nic.engines import native_xdp, zero_copy_xdp

DRIVER = nic.Driver("ice", "6.18", "4.40", "0000:01:00.0", "0x8086", "0x1592", 0, None)
ALL = nic.XdpFeatures(("basic", "redirect", "xsk-zerocopy", "rx-sg"), 8, ("timestamp",), ())


def made(**changes: Any) -> nic.Nic:
    """An Ethernet NIC that has everything, but for the changes."""
    lo = nic.read("lo")
    link = replace(lo.link, name="eth9", hardware="ether", flags=("up", "running"), mtu=1500, carrier=True)
    link = replace(link, **{key[5:]: changes.pop(key) for key in list(changes) if key.startswith("link_")})
    base = replace(lo, name="eth9", link=link, driver=DRIVER, xdp_features=ALL, offloads={}, xdp=(), missing={})
    return replace(base, **changes)


def on(*names: str) -> dict[str, nic.Offload]:
    return {name: nic.Offload(name, active=True, wanted=True, changeable=True) for name in names}


def test_a_nic_that_has_everything() -> None:
    assert native_xdp(made()).works is True
    assert zero_copy_xdp(made()).works is True


def test_a_driver_without_native_xdp_says_so() -> None:
    judged = native_xdp(made(xdp_features=replace(ALL, features=())))
    assert judged.works is False
    assert "ice says that it has no native XDP" in judged.why


def test_a_kernel_that_does_not_tell_leaves_it_open() -> None:
    old = made(xdp_features=None, missing={"xdp_features": "Linux 6.3 and later do"})
    assert native_xdp(old).works is None
    assert "6.3" in native_xdp(old).why
    assert zero_copy_xdp(old).works is None


def test_a_packet_that_does_not_fit_a_page_needs_fragments() -> None:
    without = replace(ALL, features=("basic", "xsk-zerocopy"))
    judged = native_xdp(made(xdp_features=without, link_mtu=9000))
    assert judged.works is False
    assert "ip link set eth9 mtu 3498" in judged.why
    assert native_xdp(made(xdp_features=without, link_mtu=3498)).works is True
    assert native_xdp(made(link_mtu=9000)).works is True


def test_zero_copy_of_large_packets_needs_several_buffers() -> None:
    assert zero_copy_xdp(made(link_mtu=9000)).works is True
    assert zero_copy_xdp(made(link_mtu=9000, xdp_features=replace(ALL, zc_max_segs=1))).works is False
    assert zero_copy_xdp(made(link_mtu=1500, xdp_features=replace(ALL, zc_max_segs=1))).works is True


def test_lro_may_stand_in_the_way() -> None:
    judged = native_xdp(made(offloads=on("rx-lro")))
    assert judged.works is None
    assert "ethtool -K eth9 lro off" in judged.why


def test_virtio_tells_by_its_feature_bits() -> None:
    def virtio(*bits: int) -> nic.Nic:
        return made(driver=replace(DRIVER, name="virtio_net", virtio_features=bits))

    assert native_xdp(virtio(1, 7, 32)).works is False  # merges for good
    assert native_xdp(virtio(1, 2, 7, 32)).works is True  # the guest can turn it off
    assert zero_copy_xdp(virtio(1, 2, 7, 32)).works is False  # no DMA mapping
    assert zero_copy_xdp(virtio(1, 2, 7, 32, 33)).works is True


def by_mode(ways: tuple[nic.Way, ...]) -> dict[str, nic.Way]:
    return {f"{way.engine} {way.mode}".strip(): way for way in ways}


def usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirepath._core.probe", lambda _name: (True, ""))


def test_an_attached_program_bars_every_mode_of_af_xdp_and_no_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    usable(monkeypatch)
    ways = by_mode(nic.ways(made(xdp=(nic.Program("xdp", "native", 42, "firewall"),))))
    barred = [way for way in ways.values() if way.engine == "af_xdp"]
    assert len(barred) == 3
    assert all(way.works is False and way.how == "measured" and "firewall" in way.why for way in barred)
    assert ways["tpacket_v3"].works


def test_a_tap_says_that_it_sees_merged_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    usable(monkeypatch)
    ways = by_mode(nic.ways(made(offloads=on("rx-gro"))))
    assert "merged (rx-gro)" in ways["tpacket_v3"].why
    assert "merged" not in ways["af_xdp native XDP, copy"].why


def test_nothing_works_on_an_interface_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    usable(monkeypatch)
    ways = nic.ways(made(link_flags=("broadcast",)))
    assert all(way.works is False and "ip link set eth9 up" in way.why for way in ways)
    assert nic.advise(made(), ways, "bulk").best is None


def test_what_cannot_run_here_gives_its_own_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirepath._core.probe", lambda name: (False, f"{name} needs CAP_NET_RAW"))
    assert all(way.works is False and way.why == f"{way.engine} needs CAP_NET_RAW" for way in nic.ways(made()))


@pytest.mark.parametrize(
    ("traffic", "best"),
    [
        (None, "tpacket_v3"),
        ("many-small", "tpacket_v3"),
        ("bulk", "tpacket_v3"),
        ("low-cpu", "tpacket_v3"),
        ("low-latency", "socket"),
    ],
)
def test_what_is_recommended_leaves_the_packets_to_the_host(
    monkeypatch: pytest.MonkeyPatch, traffic: str | None, best: str
) -> None:
    usable(monkeypatch)
    found = made()
    advice = nic.advise(found, nic.ways(found), traffic)
    assert advice.best is not None
    assert advice.best.way.engine == best
    assert not advice.best.way.takes_packets
    if traffic is None:
        assert advice.taking is None
    else:
        assert advice.taking is not None
        assert advice.taking.way.mode == "native XDP, zero-copy"


def test_generic_xdp_is_never_worth_the_hosts_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    usable(monkeypatch)
    found = made(xdp_features=replace(ALL, features=()))
    assert nic.advise(found, nic.ways(found), "many-small").taking is None


def test_options_of_a_recommendation_are_options_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    import wirepath as wp

    usable(monkeypatch)
    known = {engine.name: {option.name for option in engine.options} for engine in wp.engines()}
    found = made(channels=nic.Channels(None, None, None, 4, None, None, None, 8))
    for traffic in nic.TRAFFICS:
        advice = nic.advise(found, nic.ways(found), traffic)
        for choice in (advice.best, advice.taking):
            assert choice is not None
            assert {option.partition("=")[0] for option in choice.options} <= known[choice.way.engine]


def test_settings_that_stand_in_the_way_of_many_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    rings = nic.Rings(512, 512, None, None, 4096, 4096, None, None, None, None)
    found = made(rings=rings, channels=nic.Channels(None, None, None, 2, None, None, None, 8))
    commands = [line for line, _ in nic.advise(found, (), "many-small").settings]
    assert commands == ["ethtool -G eth9 rx 4096", "ethtool -L eth9 combined 4"]


def test_coalescing_stands_in_the_way_of_low_latency() -> None:
    found = made(coalescing=nic.Coalescing({"rx_usecs": 50, "adaptive_rx": True}))
    ((line, _),) = nic.advise(found, (), "low-latency").settings
    assert line == "ethtool -C eth9 adaptive-rx off rx-usecs 0"
