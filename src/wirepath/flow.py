# SPDX-License-Identifier: Apache-2.0
"""Traffic to be made: what a text like ``udp 10.0.0.1:1000-1999 > 10.0.0.2:53`` means."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from wirepath.errors import OptionError, error

__all__ = ["IMIX", "Flow", "parse_flow", "parse_sizes"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IMIX = (60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60)
"""Bytes without FCS: of twelve frames seven are as small as can be, four carry 576 bytes of IP, and one 1500."""

_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}
_FORM = "It has the form: udp 10.0.0.1:1000-1999 > 10.0.0.2:53, with addresses as 10.0.0.0/24 or 10.0.0.1-10.0.0.9, too"
_SIDE = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\s]+)):(?P<ports>[\d-]+)")
_WHOLE = re.compile(
    r"\s*(?P<protocol>udp|tcp)(?P<flags>(?:[\s,]+(?:fin|syn|rst|psh|ack|urg))*)"
    r"\s+(?P<from>\S+)\s*>\s*(?P<to>\S+)\s*"
)


@dataclass(frozen=True)
class Flow:
    """Every combination of these addresses and ports."""

    protocol: str
    """``udp`` or ``tcp``."""
    tcp_flags: int
    source: Address
    source_count: int
    """This address and those that follow it."""
    source_port: int
    source_port_count: int
    target: Address
    target_count: int
    target_port: int
    target_port_count: int

    def as_core(self, source_mac: bytes, target_mac: bytes, sizes: tuple[int, ...]) -> dict[str, Any]:
        """What the core's generator takes."""
        return {
            "ipv6": self.source.version == 6,
            "tcp": self.protocol == "tcp",
            "tcp_flags": self.tcp_flags,
            "source_mac": source_mac,
            "target_mac": target_mac,
            "source": (self.source.packed, self.source_count),
            "target": (self.target.packed, self.target_count),
            "source_port": (self.source_port, self.source_port_count),
            "target_port": (self.target_port, self.target_port_count),
            "sizes": list(sizes),
        }


def parse_flow(text: str) -> Flow:
    """What it says.

    Raises:
        OptionError: it does not say that in this form.
    """
    whole = _WHOLE.fullmatch(text.lower())
    if whole is None:
        raise error(OptionError, f"the flow '{text}' cannot be read", _FORM)
    flags = re.findall(r"\w+", whole["flags"])
    if flags and whole["protocol"] != "tcp":
        raise error(OptionError, f"the flow '{text}': {flags[0]} is a flag of TCP", _FORM)
    source, target = _side(whole["from"]), _side(whole["to"])
    if source[0].version != target[0].version:
        raise error(OptionError, f"the flow '{text}' goes from one IP version to the other", _FORM)
    return Flow(whole["protocol"], sum(_TCP_FLAGS[flag] for flag in set(flags)) or _TCP_FLAGS["ack"], *source, *target)


def _side(text: str) -> tuple[Address, int, int, int]:
    side = _SIDE.fullmatch(text)
    if side is None:
        raise error(OptionError, f"'{text}' is no address and port", f"{_FORM}; IPv6 in brackets: [fd00::1]:53")
    return (*_addresses(side["v6"] or side["v4"]), *_ports(side["ports"]))


def _addresses(text: str) -> tuple[Address, int]:
    try:
        if "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            return network.network_address, network.num_addresses
        first, _, last = text.partition("-")
        begin, end = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
        count = int(end) - int(begin) + 1
        if begin.version != end.version or count < 1:
            raise ValueError(f"'{text}' is no range")
    except ValueError as problem:
        raise error(OptionError, f"'{text}' is no address: {problem}", _FORM) from None
    return begin, count


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal() or not int(first) <= int(last or first) <= 65535:
        raise error(OptionError, f"'{text}' are no ports", "They are numbers up to 65535: 53, or 1000-1999")
    return int(first), int(last or first) - int(first) + 1


def parse_sizes(text: str) -> tuple[int, ...]:
    """Bytes of frames without FCS, from ``64,imix``.

    Raises:
        OptionError: something in it is no size.
    """
    sizes: list[int] = []
    for word in text.split(","):
        if word.strip().lower() == "imix":
            sizes += IMIX
        elif word.strip().isdecimal():
            sizes.append(int(word))
        else:
            raise error(
                OptionError, f"'{word}' is no size of frames", "Sizes are bytes without FCS, or imix: 64,1514,imix"
            )
    return tuple(sizes)
