# SPDX-License-Identifier: Apache-2.0
"""In the driver: XDP, the making of the sk_buff, GRO; and XDP once more where the driver has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wirepath.linux.sysfs import text_in
from wirepath.nic import Program
from wirepath.path.seen import Seen
from wirepath.path.sockets import OpenSocket
from wirepath.path.stage import Fact, Stage
from wirepath.path.stages.making import count, facts, made, size
from wirepath.path.stages.virtual import arrival_of

__all__ = ["allocation", "generic_xdp", "gro", "xdp"]

_VIRTIO_COPIES = "a packet of up to 128 bytes into the sk_buff; of a longer one at most the Ethernet header"


def xdp(seen: Seen) -> Stage:
    """The first program that sees a packet, before there is an sk_buff."""
    nic = seen.nic
    attached = [program for program in nic.xdp if program.mode != "generic"]
    features = nic.xdp_features
    told = ", ".join(features.features) if features is not None else None
    return made(
        seen,
        "xdp",
        "XDP, native",
        "softirq",
        [
            *_programs(attached),
            *(_af_xdp(seen) if attached else []),
            *facts(
                ("attached", None if attached else "nothing"),
                ("driver can", told or ("nothing of XDP" if features is not None else None)),
                ("driver can", f"not told: {nic.missing['xdp_features']}" if "xdp_features" in nic.missing else None),
            ),
        ],
        reads="the frame in the receive buffer",
        writes="a verdict: drop, pass on, send back, redirect; it may change the bytes",
        command=f"ip link show {nic.name}; bpftool net show dev {nic.name}",
        counters=seen.of("xdp"),
        idle=not attached,
    )


def generic_xdp(seen: Seen) -> Stage:
    """XDP for any driver: on sk_buffs."""
    attached = [program for program in seen.nic.xdp if program.mode == "generic"]
    return made(
        seen,
        "generic_xdp",
        "XDP, generic",
        "softirq",
        [
            *_programs(attached),
            *(_af_xdp(seen) if attached else []),
            *facts(("attached", None if attached else "nothing")),
        ],
        reads="the sk_buff's bytes, made linear and given headroom if need be (a copy)",
        writes="a verdict, as native XDP does",
        command=f"ip link show {seen.nic.name}; bpftool net show dev {seen.nic.name}",
        idle=not attached,
    )


def _programs(attached: Sequence[Program]) -> list[Fact]:
    return [Fact(program.mode, f"program {program.name or '?'}, id {program.id}") for program in attached]


def _af_xdp(seen: Seen) -> list[Fact]:
    return [Fact(f"AF_XDP queue {one.xdp.queue}", _describe(one)) for one in seen.xdp_sockets if one.xdp is not None]


def _describe(one: OpenSocket) -> str:
    xdp_ = one.xdp
    assert xdp_ is not None
    mode = {True: "zero-copy, ", False: "copy, ", None: ""}[xdp_.zero_copy]
    lost = sum(value or 0 for value in (xdp_.rx_dropped, xdp_.rx_ring_full, xdp_.rx_invalid_descs))
    return f"{one.who}: {mode}rings of {xdp_.rx_entries} and {xdp_.fill_entries} (fill), {lost:,} lost"


def allocation(seen: Seen) -> Stage:
    """Where the packet becomes an sk_buff, the kernel's own form of it."""
    nic = seen.nic
    copybreak = text_in(Path("/sys/module") / seen.driver / "parameters/copybreak") if seen.driver else None
    pools = seen.page_pools
    arrival = arrival_of(nic.link)
    return made(
        seen,
        "skb",
        "sk_buff",
        "softirq",
        facts(
            ("made by", arrival.made if arrival is not None else None),
            ("copybreak", f"a packet of up to {copybreak} bytes is copied into a small buffer" if copybreak else None),
            ("pulls", _VIRTIO_COPIES if seen.driver == "virtio_net" else None),
            (
                "page pool",
                f"{count(len(pools), 'pool')}, {size(sum(pool.inflight_bytes for pool in pools))} with packets now"
                if pools
                else None,
            ),
            ("VLAN tag", _vlan(seen)),
        ),
        reads="the receive buffer and its descriptor",
        writes="an sk_buff that points to the buffer: the bytes stay where they are, but for the copies named",
        idle=arrival is not None,
        command=f"ethtool -k {nic.name}; cat /sys/module/{seen.driver or 'DRIVER'}/parameters/copybreak",
    )


def _vlan(seen: Seen) -> str | None:
    offload = (seen.nic.offloads or {}).get("rx-vlan-hw-parse")
    if offload is None:
        return None
    return "out of the bytes, beside them (rxvlan on)" if offload.active else "stays in the bytes (rxvlan off)"


def gro(seen: Seen) -> Stage:
    """Where packets of a flow become one."""
    nic = seen.nic
    words = {"rx-gro": "GRO", "rx-gro-hw": "GRO by the NIC", "rx-lro": "LRO", "rx-gro-list": "fraglist GRO"}
    on = [text for name, text in words.items() if (found := (nic.offloads or {}).get(name)) and found.active]
    defaults = nic.napi_defaults
    flush = defaults.gro_flush_timeout_ns if defaults is not None else None
    return made(
        seen,
        "gro",
        "GRO",
        "softirq",
        facts(
            ("on", ", ".join(on) or "nothing: packets stay as they came"),
            ("merges up to", size(nic.link.gro_max_size) if on and nic.link.gro_max_size else None),
            ("waits", f"at most {flush // 1000} µs" if flush else None),
        ),
        reads="the headers",
        writes="packets of one flow chained into one: from here on there are fewer and longer packets"
        if on
        else "nothing",
        command=f"ethtool -k {nic.name} | grep -E 'generic-receive|large-receive|rx-gro'",
        idle=not on,
    )
