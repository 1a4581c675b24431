# SPDX-License-Identifier: Apache-2.0
"""Which clocks can stamp packets (ethtool TSINFO_GET, SIOCGHWTSTAMP, sysfs)."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass

from wirepath.linux.sysfs import text_in
from wirepath.nic.ethtool import TSINFO_GET, bits
from wirepath.nic.kernel import Kernel

__all__ = ["Timestamping", "read_timestamping"]

_TIMESTAMPING, _TX_TYPES, _RX_FILTERS, _PHC_INDEX = 2, 3, 4, 5
_SIOCGHWTSTAMP = 0x89B1
_FILTERS = ("none", "all", "some")


@dataclass(frozen=True)
class Timestamping:
    """What can take a packet's time, and what is set."""

    capabilities: tuple[str, ...]
    """``software-receive``, ``hardware-receive``, …"""
    tx_types: tuple[str, ...]
    rx_filters: tuple[str, ...]
    """Which packets the NIC can stamp: a capture wants ``all``."""
    phc: int | None
    """The NIC's own clock is /dev/ptpN; None: it has none."""
    phc_name: str | None
    rx_filter_now: str | None
    """What the NIC stamps now: ``none``, ``all``, or the number of another filter; None: the driver does not tell."""


def read_timestamping(kernel: Kernel, name: str, ifindex: int) -> Timestamping:
    """The clocks. Raises OSError."""
    told = kernel.ethtool(TSINFO_GET, ifindex)
    phc = told.number(_PHC_INDEX, signed=True)
    phc = None if phc is None or phc < 0 else phc
    return Timestamping(
        capabilities=_set(bits(told.nest(_TIMESTAMPING))),
        tx_types=_set(bits(told.nest(_TX_TYPES))),
        rx_filters=_set(bits(told.nest(_RX_FILTERS))),
        phc=phc,
        phc_name=None if phc is None else text_in(f"/sys/class/ptp/ptp{phc}/clock_name"),
        rx_filter_now=_rx_filter(kernel, name),
    )


def _set(named: dict[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, value in named.items() if value)


def _rx_filter(kernel: Kernel, name: str) -> str | None:
    buffer = ctypes.create_string_buffer(12)
    try:
        kernel.ioctl(_SIOCGHWTSTAMP, name, buffer)
    except OSError:
        return None
    which: int = struct.unpack("=iii", buffer.raw)[2]
    return _FILTERS[which] if which < len(_FILTERS) else str(which)
