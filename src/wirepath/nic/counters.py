# SPDX-License-Identifier: Apache-2.0
"""What the kernel and the driver count of the interface (IFLA_STATS64, ETHTOOL_GSTATS)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from wirepath.nic.kernel import Kernel

__all__ = ["link_counters", "read_driver_counters"]

_LINK_COUNTERS_TEXT = """
    rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped tx_dropped multicast collisions
    rx_length_errors rx_over_errors rx_crc_errors rx_frame_errors rx_fifo_errors rx_missed_errors
    tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors tx_window_errors rx_compressed
    tx_compressed rx_nohandler rx_otherhost_dropped
"""
_LINK_COUNTERS = tuple(_LINK_COUNTERS_TEXT.split())
_GSSET_INFO, _GSTRINGS, _GSTATS = 0x37, 0x1B, 0x1D
_SS_STATS, _STRING_BYTES = 1, 32


def link_counters(stats64: bytes) -> Mapping[str, int]:
    """Counters that every interface has, by the names of struct rtnl_link_stats64. Cumulative."""
    values = struct.unpack_from(f"={len(stats64) // 8}Q", stats64)
    return dict(zip(_LINK_COUNTERS, values, strict=False))


def read_driver_counters(kernel: Kernel, name: str) -> Mapping[str, int]:
    """The driver's own counters, as `ethtool -S` prints them. Cumulative; what each means only the driver knows.

    Raises OSError: EOPNOTSUPP from a driver that keeps none.
    """
    info = kernel.ethtool_ioctl(name, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _SS_STATS, 0))
    count = struct.unpack_from("=I", info, 16)[0] if struct.unpack_from("=Q", info, 8)[0] else 0
    if not count:
        return {}
    strings = kernel.ethtool_ioctl(
        name, struct.pack("=III", _GSTRINGS, _SS_STATS, count) + bytes(count * _STRING_BYTES)
    )[12:]
    # A driver that has grown queues meanwhile writes more than we made room for: ask with room for twice as many.
    stats = kernel.ethtool_ioctl(name, struct.pack("=II", _GSTATS, count) + bytes(2 * count * 8))
    values = struct.unpack_from(f"={count}Q", stats, 8)
    names = [strings[at : at + _STRING_BYTES].split(b"\0")[0] for at in range(0, len(strings), _STRING_BYTES)]
    return {text.decode("utf-8", "replace"): value for text, value in zip(names, values, strict=True)}
