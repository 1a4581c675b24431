# SPDX-License-Identifier: Apache-2.0
"""Which engine can capture from this NIC, in which mode, and if not, why.

From what the engine's probe and the kernel say. What only trying would tell is said to be so: attaching an XDP program
for a try resets the link of many NICs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from wirepath.engines import Engine, engines
from wirepath.figure import How
from wirepath.nic.nic import Nic

__all__ = ["Judged", "Way", "native_xdp", "ways", "zero_copy_xdp"]

_PAGE_BYTES = 4096
_XDP_HEADROOM, _SHARED_INFO = 256, 320  # what a page keeps for XDP and for an sk_buff's fragments
_PAGE_ROOM = _PAGE_BYTES - _XDP_HEADROOM - _SHARED_INFO
_AF_XDP_ROOM = _PAGE_BYTES - _XDP_HEADROOM - 16
_LINK_BYTES = 14 + 8  # Ethernet header, two VLAN tags


class Judged(NamedTuple):
    """Whether something works, how that is known, and why."""

    works: bool | None
    how: How
    why: str


@dataclass(frozen=True)
class Way:
    """One engine in one of its modes, on this NIC."""

    engine: str
    mode: str
    """In a few words; empty: the engine has one only."""
    works: bool | None
    """None: only trying tells."""
    how: How
    """``measured``: what stands against it was seen; ``inferred``: from what the kernel and the driver say."""
    why: str
    takes_packets: bool
    """What it captures does not reach this host's network stack."""
    options: tuple[str, ...]
    """What `-o` takes to choose this mode."""


def ways(nic: Nic) -> tuple[Way, ...]:
    """Every engine that captures from interfaces, in the order of preference, with each of its modes."""
    return tuple(way for engine in engines() if engine.target == "interface" for way in _ways(engine, nic))


def _ways(engine: Engine, nic: Nic) -> Iterator[Way]:
    for mode, options, judge in _MODES.get(engine.name, (("", (), _judge_tap),)):
        works, how, why = _judge(engine, nic, judge)
        takes = engine.takes_packets and judge is not _judge_dpdk_tap
        yield Way(engine.name, mode, works, how, why, takes, options)


def _judge(engine: Engine, nic: Nic, judge: Callable[[Nic], Judged]) -> Judged:
    if not engine.usable:
        return Judged(False, "measured", engine.reason)
    if not nic.link.up:
        return Judged(False, "measured", f"the interface is down: ip link set {nic.name} up")
    return judge(nic)


def _judge_tap(nic: Nic) -> Judged:
    if nic.link.hardware == "loopback":
        return Judged(True, "inferred", "a tap of the stack; each packet is seen twice, going out and coming in")
    merging = _merging(nic)
    if merging:
        return Judged(True, "inferred", f"a tap of the stack, which sees packets after they were merged ({merging})")
    return Judged(True, "inferred", "a tap of the stack")


def _judge_dpdk_tap(nic: Nic) -> Judged:
    if nic.link.hardware not in ("ether", "loopback"):
        return Judged(False, "measured", f"its frames are not Ethernet but {nic.link.hardware}")
    works, how, why = _judge_tap(nic)
    return Judged(works, how, f"no kernel bypass: {why}")


_NET_AF_XDP_MTU = 3498  # bytes, of DPDK 22.11


def _judge_dpdk_xdp(nic: Nic) -> Judged:
    refused = _refused_by_any(nic)
    if refused is not None:
        return refused
    if nic.link.mtu > _NET_AF_XDP_MTU:
        return Judged(False, "measured", f"DPDK's driver takes an MTU of {_NET_AF_XDP_MTU} at the most")
    return Judged(True, "inferred", "no kernel bypass: AF_XDP, in the mode that the kernel chooses")


def _judge_generic(nic: Nic) -> Judged:
    refused = _refused_by_any(nic)
    if refused is not None:
        return refused
    why = "in the stack, before its taps: it needs nothing of the driver"
    # Attaching to it turns LRO and GRO by hardware off, where they can be turned off.
    merging = _merging(nic, but_what_xdp_turns_off=True)
    if merging:
        return Judged(True, "inferred", f"{why}, and sees packets after they were merged ({merging})")
    return Judged(True, "inferred", why)


def _merging(nic: Nic, *, but_what_xdp_turns_off: bool = False) -> str:
    stays = [
        feature
        for feature in ("rx-gro", "rx-gro-hw", "rx-lro")
        if (offload := (nic.offloads or {}).get(feature)) is not None
        and offload.active
        and not (but_what_xdp_turns_off and feature != "rx-gro" and offload.changeable)
    ]
    return ", ".join(stays)


def _judge_native(nic: Nic) -> Judged:
    return _refused_by_any(nic) or native_xdp(nic)


def _judge_zero_copy(nic: Nic) -> Judged:
    return _refused_by_any(nic) or zero_copy_xdp(nic)


def native_xdp(nic: Nic) -> Judged:
    """Whether the driver can run an XDP program before it makes an sk_buff, as it is configured now."""
    refused = _refused_native(nic)
    if refused is not None:
        return refused
    if nic.xdp_features is None:
        return Judged(None, "unknown", f"only trying tells: {nic.missing.get('xdp_features', 'it is not told')}")
    if _active(nic, "rx-lro"):
        doubt = f"LRO is on: some drivers refuse XDP with it, others turn it off: ethtool -K {nic.name} lro off"
        return Judged(None, "unknown", doubt)
    return Judged(True, "inferred", "the driver says that it has native XDP")


def zero_copy_xdp(nic: Nic) -> Judged:
    """Whether the NIC can write into an application's memory, as it is configured now."""
    native = native_xdp(nic)
    if not native.works:
        return native
    told = nic.xdp_features
    if told is None or not told.zero_copy:
        return Judged(False, "inferred", f"the driver {_driver(nic)} says that it has no zero-copy")
    if _virtio_without_dma(nic):
        return Judged(False, "inferred", _VIRTIO_NO_DMA)
    if _longest(nic) > _AF_XDP_ROOM and (told.zc_max_segs or 1) < 2:
        short = f"at an MTU of {nic.link.mtu} a packet needs several buffers; the driver takes one"
        return Judged(False, "inferred", short)
    return Judged(True, "inferred", "the driver says that it has zero-copy; binding the socket proves it")


_MODES: dict[str, tuple[tuple[str, tuple[str, ...], Callable[[Nic], Judged]], ...]] = {
    "af_xdp": (
        ("native XDP, zero-copy", ("xdp_mode=native", "mode=zero_copy"), _judge_zero_copy),
        ("native XDP, copy", ("xdp_mode=native", "mode=copy"), _judge_native),
        ("generic XDP, copy", ("xdp_mode=generic",), _judge_generic),
    ),
    "ebpf": (
        ("tc", ("hook=tc",), _judge_tap),
        ("native XDP", ("hook=xdp", "xdp_mode=native"), _judge_native),
        ("generic XDP", ("hook=xdp", "xdp_mode=generic"), _judge_generic),
    ),
    "dpdk": (
        ("net_af_packet", ("driver=af_packet",), _judge_dpdk_tap),
        ("net_af_xdp", ("driver=af_xdp",), _judge_dpdk_xdp),
    ),
}


def _refused_by_any(nic: Nic) -> Judged | None:
    """What stands against AF_XDP in every mode."""
    if nic.link.hardware not in ("ether", "loopback"):
        return Judged(False, "measured", f"its frames are not Ethernet but {nic.link.hardware}")
    if nic.xdp:
        there = nic.xdp[0]
        name = there.name or "of a name that we may not ask"
        seen = f"an XDP program is attached ({there.mode}, id {there.id}, {name})"
        return Judged(False, "measured", f"{seen}: end its owner first")
    return None


_VIRTIO_NO_DMA = "the virtual machine gives the device no DMA mapping (VIRTIO_F_ACCESS_PLATFORM)"
_VIRTIO_REFUSES = (
    "the host of this virtual machine merges packets or leaves checksums out, and the guest cannot turn that off "
    "(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS): virtio_net refuses XDP then"
)


def _refused_native(nic: Nic) -> Judged | None:
    told = nic.xdp_features
    if told is not None and not told.native:
        return Judged(False, "inferred", f"the driver {_driver(nic)} says that it has no native XDP")
    if _virtio_merges_for_good(nic):
        return Judged(False, "inferred", _VIRTIO_REFUSES)
    if told is not None and not told.fragments and _longest(nic) > _PAGE_ROOM:
        short = f"at an MTU of {nic.link.mtu} a packet does not fit a page, and the driver has no XDP for fragments"
        return Judged(False, "inferred", f"{short}: ip link set {nic.name} mtu {_PAGE_ROOM - _LINK_BYTES}")
    return None


def _active(nic: Nic, feature: str) -> bool:
    offload = (nic.offloads or {}).get(feature)
    return offload is not None and offload.active


def _driver(nic: Nic) -> str:
    return nic.driver.name if nic.driver is not None else nic.link.kind or nic.name


def _longest(nic: Nic) -> int:
    return nic.link.mtu + _LINK_BYTES


_GUEST_MERGING = (1, 7, 8, 9, 10, 54, 55)  # VIRTIO_NET_F_GUEST_CSUM, _TSO4, _TSO6, _ECN, _UFO, _USO4, _USO6
_CTRL_GUEST_OFFLOADS, _ACCESS_PLATFORM = 2, 33


def _virtio_merges_for_good(nic: Nic) -> bool:
    bits = nic.driver.virtio_features if nic.driver is not None else None
    return bits is not None and _CTRL_GUEST_OFFLOADS not in bits and any(bit in bits for bit in _GUEST_MERGING)


def _virtio_without_dma(nic: Nic) -> bool:
    bits = nic.driver.virtio_features if nic.driver is not None else None
    return bits is not None and _ACCESS_PLATFORM not in bits
