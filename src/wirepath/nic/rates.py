# SPDX-License-Identifier: Apache-2.0
"""How many packets a second a link can carry (IEEE 802.3): arithmetic, nothing measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wirepath.errors import OptionError, error

__all__ = ["FRAME_SIZES", "LineRate", "line_rates", "packets_per_second", "parse_speed", "payloads_per_second"]

FRAME_SIZES = (64, 128, 256, 512, 1024, 1280, 1518, 9018)
"""Bytes from the destination address to the FCS, as RFC 2544 counts; the last is a jumbo frame of MTU 9000."""

PREAMBLE_BYTES = 8  # with the start of frame delimiter
GAP_BYTES = 12
HEADER_BYTES = 14
FCS_BYTES = 4

_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class LineRate:
    """A link full of frames of one size."""

    frame_bytes: int
    """With header and FCS, without preamble and gap."""
    packets_per_second: float
    """Also the interrupts a second if each packet interrupted."""
    ns_per_packet: float
    goodput_bps: float
    """Bits a second of what the frames carry: without header, FCS, preamble and gap."""


def packets_per_second(bps: float, frame_bytes: int) -> float:
    """Frames a second at the line rate. 14,880,952 of 64 bytes on 10 Gbit/s."""
    return bps / ((frame_bytes + PREAMBLE_BYTES + GAP_BYTES) * 8)


def payloads_per_second(bps: float, payload_bytes: int) -> float:
    """What is often reckoned: the link's bits by those of the payload alone. More than the wire can carry."""
    return bps / (payload_bytes * 8)


def line_rates(bps: float, frame_sizes: Iterable[int] = FRAME_SIZES) -> tuple[LineRate, ...]:
    """The line rate for each frame size."""
    return tuple(_line_rate(bps, size) for size in frame_sizes)


def _line_rate(bps: float, size: int) -> LineRate:
    rate = packets_per_second(bps, size)
    return LineRate(size, rate, 1e9 / rate, rate * (size - HEADER_BYTES - FCS_BYTES) * 8)


def parse_speed(text: str) -> int:
    """Bits a second from ``10G``, ``2.5G``, ``100M``.

    Raises:
        OptionError: it is not a number with one of these units.
    """
    number, unit = text[:-1], text[-1:]
    try:
        bps = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        bps = 0.0
    if not 0 < bps < 10**16:
        raise error(OptionError, f"'{text}' is not a speed", "It takes a number and k, M, G or T: 100M, 2.5G, 10G")
    return round(bps)
