# SPDX-License-Identifier: Apache-2.0
"""The columns of the contract table: each engine, once or in several modes. The one place that knows an engine by name.

An engine that is not named here takes part as it is, with its defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

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
    mode: str = ""  # a word that the granted mode has to have
    file: bool = False  # is opened on a file, not on an interface


# A worker is a queue. What the host sends never comes to an XDP program.
_AF_XDP: Options = {"small": {"ring_size": 1024}, "workers": {}, "sees_sent": False}

_KNOWN = {
    "socket": [Variant("socket", "socket", small={"buffer_size": "512k"}, workers={"fanout": 4}, lends_a_ring=False)],
    "pcap": [Variant("pcap", "pcap", small={"buffer_size": "1M"}, says_direction=False)],
    "tpacket_v3": [Variant("tpacket_v3", "tpacket_v3", small={"block_nr": 2}, workers={"fanout": 4})],
    "af_xdp": [
        Variant("af_xdp native", "af_xdp", {"xdp_mode": "native"}, **_AF_XDP, mode="native"),
        Variant("af_xdp generic", "af_xdp", {"xdp_mode": "generic"}, **_AF_XDP, mode="generic"),
    ],
    "replay": [Variant("replay", "replay", sees_sent=False)],
}


def variants() -> list[Variant]:
    """Every column, usable here or not."""
    return [
        replace(variant, file=engine.target == "file")
        for engine in wp.engines()
        for variant in _KNOWN.get(engine.name, [Variant(engine.name, engine.name)])
    ]


def unusable() -> dict[str, str]:
    """Why an engine cannot run here, by the names of its columns."""
    reasons = {engine.name: engine.reason for engine in wp.engines() if not engine.usable}
    return {variant.name: reasons[variant.engine] for variant in variants() if variant.engine in reasons}


# A list, and not what an attempt says: then a driver that has it and refuses would go unnoticed.
_NATIVE_XDP_SINCE = {"e1000": None, "e1000e": None, "vmxnet3": (6, 6)}


def no_native_xdp(variant: Variant, driver: str) -> str | None:
    """Why this driver, in this kernel, cannot run the column; None if it can."""
    since = _NATIVE_XDP_SINCE.get(driver, (0, 0))
    if variant.options.get("xdp_mode") != "native":
        return None
    if since is None:
        return f"the driver {driver} has no native XDP"
    running = tuple(int(number) for number in os.uname().release.split(".")[:2])
    return None if running >= since else f"the driver {driver} has native XDP since Linux {since[0]}.{since[1]}"
