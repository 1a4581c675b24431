# SPDX-License-Identifier: Apache-2.0
"""What the ethtool family of netlink shares among its messages (linux/ethtool_netlink.h)."""

from __future__ import annotations

from wirepath.linux.netlink import Attributes

__all__ = [
    "CHANNELS_GET",
    "COALESCE_GET",
    "FEATURES_GET",
    "LINKMODES_GET",
    "RINGS_GET",
    "TSINFO_GET",
    "bits",
]

LINKMODES_GET, FEATURES_GET, RINGS_GET, CHANNELS_GET, COALESCE_GET, TSINFO_GET = 4, 11, 15, 17, 19, 25

_BITSET_NOMASK, _BITSET_BITS = 1, 3
_BIT_NAME, _BIT_VALUE = 2, 3


def bits(bitset: Attributes) -> dict[str, bool]:
    """The names in a bitset, and whether each is set. One without a mask names only those that are."""
    only_set = _BITSET_NOMASK in bitset
    return {
        name: only_set or _BIT_VALUE in bit
        for bit in bitset.members(_BITSET_BITS)
        if (name := bit.text(_BIT_NAME)) is not None
    }
