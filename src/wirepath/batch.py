# SPDX-License-Identifier: Apache-2.0
"""Batches of packets: columns of equal length as numpy arrays, over one block of payload."""

from enum import IntEnum, IntFlag

from wirepath._core import Batch, Packet

__all__ = ["Batch", "Flag", "Hook", "Packet"]


class Flag(IntFlag):
    """Bits of ``batch.flags`` and ``packet.flags``."""

    INBOUND = 1 << 0
    OUTBOUND = 1 << 1
    BROADCAST = 1 << 2
    MULTICAST = 1 << 3
    OTHER_HOST = 1 << 4
    """For another host, seen because of promiscuous mode."""
    CSUM_VALID = 1 << 5
    """The NIC or the kernel has checked the transport checksum."""
    CSUM_NOT_READY = 1 << 6
    """Sent by this host; the NIC was to fill in the checksum."""
    TS_HARDWARE = 1 << 7
    """``ts`` was taken by the NIC."""
    GSO = 1 << 8
    """Several packets that GRO or GSO made one."""
    NO_TS = 1 << 9
    """The file gives no time for this packet: ``ts`` is 0."""


class Hook(IntEnum):
    """Values of ``batch.hook`` and ``packet.hook``: where in the kernel a packet was captured."""

    XDP = 1
    TC = 2
