# SPDX-License-Identifier: Apache-2.0
"""The columns of the senders' table: each engine that can send, once or in several modes.

An engine that is not named here takes part as it is, with its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import wirepath as wp


@dataclass(frozen=True)
class Variant:
    name: str
    engine: str
    options: dict[str, Any] = field(default_factory=dict)
    through_qdisc: bool = True  # and so can be made to wait by one
    mtu: int | None = None  # that the wire is to have; None: the usual one
    knows_what_is_under_way: bool = True
    tells_what_waited_in_vain: bool = True  # frames in its ring that the kernel then refuses
    to_napi: bool = False  # a veth's other end must receive through NAPI
    longest: int = 65535  # bytes of a frame, whatever the MTU


_KNOWN = {
    "af_xdp": [Variant("af_xdp", "af_xdp", through_qdisc=False)],
    # net_af_xdp takes an MTU of less than a page.
    "dpdk": [
        Variant("dpdk af_packet", "dpdk", {"driver": "af_packet"}, tells_what_waited_in_vain=False),
        Variant(
            "dpdk af_packet qdisc_bypass", "dpdk", {"driver": "af_packet", "qdisc_bypass": True}, through_qdisc=False
        ),
        Variant("dpdk af_xdp", "dpdk", {"driver": "af_xdp"}, through_qdisc=False, mtu=1500),
    ],
    "tpacket_v3": [
        Variant("tpacket_v3", "tpacket_v3"),
        Variant("tpacket_v3 qdisc_bypass", "tpacket_v3", {"qdisc_bypass": True}, through_qdisc=False),
    ],
    "ebpf": [Variant("ebpf", "ebpf", through_qdisc=False, knows_what_is_under_way=False, to_napi=True, longest=3360)],
    "pf_ring": [Variant("pf_ring double", "pf_ring", knows_what_is_under_way=False)],
    "socket": [
        Variant("socket", "socket"),
        Variant("socket qdisc_bypass", "socket", {"qdisc_bypass": True}, through_qdisc=False),
    ],
}


def variants() -> list[Variant]:
    """Every column, usable here or not."""
    return [
        variant
        for engine in wp.engines()
        if engine.sends
        for variant in _KNOWN.get(engine.name, [Variant(engine.name, engine.name)])
    ]
