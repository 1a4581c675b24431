# SPDX-License-Identifier: Apache-2.0
"""What the link was negotiated to (ethtool LINKMODES_GET)."""

from __future__ import annotations

from dataclasses import dataclass

from wirepath.nic.ethtool import LINKMODES_GET
from wirepath.nic.kernel import Kernel

__all__ = ["Speed", "read_speed"]

_AUTONEG, _SPEED, _DUPLEX, _LANES = 2, 5, 6, 9
_UNKNOWN = 0xFFFFFFFF
_DUPLEXES = {0: "half", 1: "full"}


@dataclass(frozen=True)
class Speed:
    """Speed and duplex."""

    mbps: int | None
    """10^6 bit/s; None: no carrier, or a virtual device that has no speed."""
    duplex: str | None
    autoneg: bool | None
    lanes: int | None

    @property
    def bps(self) -> int | None:
        """Bits a second."""
        return None if self.mbps is None else self.mbps * 1_000_000


def read_speed(kernel: Kernel, ifindex: int) -> Speed:
    """The link's speed. Raises OSError."""
    told = kernel.ethtool(LINKMODES_GET, ifindex)
    speed = told.number(_SPEED)
    return Speed(
        mbps=None if speed in (0, _UNKNOWN) else speed,
        duplex=_DUPLEXES.get(told.number(_DUPLEX) or 0) if _DUPLEX in told else None,
        autoneg=told.flag(_AUTONEG),
        lanes=told.number(_LANES) or None,
    )
