# SPDX-License-Identifier: Apache-2.0
"""The columns of the contract table: each engine, once or in several modes. The one place that knows an engine by name.

An engine that is not named here takes part as it is, with its defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import pf_ring_double
import wirepath as wp

Options = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    name: str
    engine: str
    options: Options = field(default_factory=dict)
    # What else to ask for where a case wants it; None: the engine has nothing of the kind.
    small: Options = field(default_factory=dict)  # the least memory, so that it can be filled
    workers: Options | None = None  # several receivers for one queue
    sees_sent: bool = True  # taps what the host itself sends
    lends_a_ring: bool = True  # and copies before it runs out
    says_direction: bool = True  # tells what came in from what was sent
    alone: bool = False  # refuses a second one on the same interface
    mode: str = ""  # a word that the granted mode has to have
    file: bool = False  # is opened on a file, not on an interface
    mtu: int | None = None  # of the wire, where the engine takes none of jumbo frames
    scale: float = 1.0  # of the packets that cases send, where the engine has room for few
    tells_tpid: bool = True  # which kind of VLAN tag it was that is in metadata
    combined_queues: bool = False  # takes only queues that also send: a veth tells of none
    next_run_tidies: bool = False  # what is left on the host after kill -9, the next capture takes away


# A worker is a queue. What the host sends never comes to an XDP program.
_AF_XDP: Options = {"small": {"ring_size": 1024}, "workers": {}, "sees_sent": False}
_EBPF: Options = {"small": {"block_nr": (os.cpu_count() or 1) + 2, "block_size": 266240}}
_EBPF_ALONE: Options = {**_EBPF, "sees_sent": False, "alone": True}
_NATIVE: Options = {"hook": "xdp", "xdp_mode": "native"}
_GENERIC: Options = {"hook": "xdp", "xdp_mode": "generic"}

_REAL_PF_RING = "WIREPATH_LIBPFRING" in os.environ
# A worker is a queue. The drivers over an interface of the kernel; over NICs of its own it takes part in tests/kernels.
_DPDK = {
    "dpdk af_packet": Variant(
        "dpdk af_packet",
        "dpdk",
        {"driver": "af_packet"},
        small={"ring_size": 512, "mbufs": 1024},
        workers={"queues": 4},
        alone=True,
        says_direction=False,
        mode="net_af_packet",
        mtu=1500,
        tells_tpid=False,
    ),
    "dpdk af_xdp": Variant(
        "dpdk af_xdp",
        "dpdk",
        {"driver": "af_xdp"},
        small={"mbufs": 8192},
        workers={},
        sees_sent=False,
        mode="net_af_xdp",
        mtu=1500,
        scale=0.25,  # its fill ring holds 2048 frames
        combined_queues=True,
        next_run_tidies=True,
    ),
}

_KNOWN = {
    "socket": [Variant("socket", "socket", small={"buffer_size": "512k"}, workers={"fanout": 4}, lends_a_ring=False)],
    "pcap": [Variant("pcap", "pcap", small={"buffer_size": "1M"}, says_direction=False)],
    "tpacket_v3": [Variant("tpacket_v3", "tpacket_v3", small={"block_nr": 2}, workers={"fanout": 4})],
    "af_xdp": [
        Variant("af_xdp native", "af_xdp", {"xdp_mode": "native", "mode": "copy"}, **_AF_XDP, mode="copy, native"),
        Variant("af_xdp generic", "af_xdp", {"xdp_mode": "generic"}, **_AF_XDP, mode="generic"),
    ],
    # Over a double of libpfring, and its result says so, unless WIREPATH_LIBPFRING names the real one.
    "pf_ring": [
        Variant(
            "pf_ring" if _REAL_PF_RING else "pf_ring double",
            "pf_ring",
            workers={"channels": "all"},
            lends_a_ring=False,
            mode="beside the stack" if _REAL_PF_RING else "a double of libpfring",
        )
    ],
    "dpdk": list(_DPDK.values()),
    "ebpf": [
        Variant("ebpf tc", "ebpf", {"hook": "tc"}, **_EBPF, mode="tap, tc"),  # tcx, or what takes part in it
        Variant("ebpf tc take", "ebpf", {"hook": "tc", "mode": "take"}, **_EBPF_ALONE, mode="take, tc"),
        Variant("ebpf native", "ebpf", _NATIVE, **_EBPF_ALONE, mode="tap, native"),
        Variant("ebpf native take", "ebpf", {**_NATIVE, "mode": "take"}, **_EBPF_ALONE, mode="take, native"),
        Variant("ebpf generic", "ebpf", _GENERIC, **_EBPF_ALONE, mode="tap, generic"),
        Variant("ebpf generic take", "ebpf", {**_GENERIC, "mode": "take"}, **_EBPF_ALONE, mode="take, generic"),
    ],
    "napi": [
        Variant("napi packet", "napi", small={"block_nr": 2}, workers={"fanout": 4}),
        Variant(
            "napi xdp", "napi", {"via": "xdp", "xdp_mode": "native", "mode": "copy"}, **_AF_XDP, mode="copy, native"
        ),
    ],
    "replay": [Variant("replay", "replay", sees_sent=False)],
}


# Of real drivers only: a column of its own over NICs.
_ZERO_COPY_COLUMN = Variant(
    "af_xdp zero_copy", "af_xdp", {"xdp_mode": "native", "mode": "zero_copy"}, **_AF_XDP, mode="zero_copy"
)


def variants(*, over_nics: bool = False) -> list[Variant]:
    """Every column, usable here or not."""
    columns = [
        replace(variant, file=engine.target == "file")
        for engine in wp.engines()
        for variant in _KNOWN.get(engine.name, [Variant(engine.name, engine.name)])
    ]
    return columns + ([_ZERO_COPY_COLUMN] if over_nics else [])


def prepare(engine: str, patch: pytest.MonkeyPatch) -> None:
    """Sets what an engine finds its library by."""
    if engine == "pf_ring":
        for name, value in pf_ring_double.environment().items():
            patch.setenv(name, value)


def unusable() -> dict[str, str]:
    """Why an engine cannot run here, by the names of its columns."""
    with pytest.MonkeyPatch.context() as patch:
        prepare("pf_ring", patch)
        reasons = {engine.name: engine.reason for engine in wp.engines() if not engine.usable}
    return {variant.name: reasons[variant.engine] for variant in variants(over_nics=True) if variant.engine in reasons}


# Lists, and not what an attempt says: then a driver that can and refuses would go unnoticed. (6, 14): since Linux 6.14.
_NEVER = (99, 0)
_NATIVE_XDP = {"e1000": _NEVER, "e1000e": _NEVER, "vmxnet3": (6, 6)}
_ZERO_COPY = {"igb": (6, 14), "virtio_net": (7, 3)}
_FRAGMENTS = {"igb": _NEVER}
_FRAGMENTS_OF_AF_XDP = (6, 6)
_FRAGMENTS_OF_XDP = _FRAGMENTS | {"virtio_net": (6, 4)}


def _wanting(what: str, driver: str, since: tuple[int, int]) -> str | None:
    running = tuple(int(number) for number in os.uname().release.split(".")[:2])
    if running >= since:
        return None
    return f"the driver {driver} has no {what}" + (f" before Linux {since[0]}.{since[1]}" if since != _NEVER else "")


def wanting(variant: Variant, driver: str) -> str | None:
    """Why the column cannot be over this driver in this kernel; None if it can."""
    if variant.options.get("mode") == "zero_copy":
        return _wanting("zero-copy", driver, _ZERO_COPY.get(driver, _NEVER))
    if variant.options.get("xdp_mode") == "native":
        return _wanting("native XDP", driver, _NATIVE_XDP.get(driver, (0, 0)))
    return None


def wanting_for_jumbo(variant: Variant, driver: str) -> str | None:
    """Why packets larger than a page cannot be captured so; None if they can."""
    if driver == "vmxnet3":
        return "QEMU's vmxnet3 spoils packets in several buffers: its driver counts them as errors"
    if variant.mode == "net_af_xdp":
        return "net_af_xdp has no packets in fragments"
    native = variant.options.get("xdp_mode") == "native"
    if variant.engine == "ebpf" and native and driver in _FRAGMENTS_OF_XDP:
        return _wanting("XDP for packets in fragments", driver, _FRAGMENTS_OF_XDP[driver])
    if variant.engine == "ebpf" or "xdp_mode" not in variant.options:
        return None
    if variant.mode == "zero_copy":
        return f"the driver {driver} has no zero-copy for packets in fragments"
    if native and driver in _FRAGMENTS:
        return _wanting("XDP for packets in fragments", driver, _FRAGMENTS[driver])
    return _wanting("AF_XDP for packets in fragments", driver, _FRAGMENTS_OF_AF_XDP)


_NO_ROOM_FOR_METADATA = ("vmxnet3",)


def wanting_for_timestamps(variant: Variant, driver: str) -> str | None:
    """Why packets have no time of their own; None if they have."""
    if variant.engine == "af_xdp" and variant.options["xdp_mode"] == "native" and driver in _NO_ROOM_FOR_METADATA:
        return f"the driver {driver} leaves an XDP program no room for the time"
    return None


def tag_as_told(variant: Variant, driver: str, tpid: int, tci: int) -> tuple[int, int]:
    """The VLAN tag that a NIC took out of the bytes, as its driver or the engine tells it to everybody."""
    if not variant.tells_tpid:
        return 0x8100, tci
    if driver == "e1000":
        return tpid, tci & 0xFFF  # without the priority
    return (0x8100, tci) if driver == "vmxnet3" else (tpid, tci)


def tags_put_back(variant: Variant, data: bytes) -> bytes:
    """A frame with a VLAN tag that was taken out on the way, as an engine puts it back that keeps none in metadata.

    PF_RING's module writes 0x8100 before whatever tag it puts back.
    """
    if variant.engine == "pf_ring" and data[12:14] == b"\x88\xa8":
        return data[:12] + b"\x81\x00" + data[14:]
    return data
