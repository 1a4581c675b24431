# SPDX-License-Identifier: Apache-2.0
"""How many queues the NIC has and how long they are (ethtool CHANNELS_GET, RINGS_GET; netdev qstats-get)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from wirepath.linux.netlink import Attributes, attribute
from wirepath.nic.ethtool import CHANNELS_GET, RINGS_GET
from wirepath.nic.kernel import Kernel

__all__ = ["Channels", "QueueStats", "Rings", "read_channels", "read_queue_stats", "read_rings"]

_RX_BUF_LEN, _TCP_DATA_SPLIT = 10, 11
_QSTATS_GET = 12
_QSTATS_IFINDEX, _QSTATS_TYPE, _QSTATS_ID, _QSTATS_SCOPE = 1, 2, 3, 4
_SCOPE_QUEUE = 1
_FIRST_COUNTER = 8
_COUNTERS_TEXT = """
    rx_packets rx_bytes tx_packets tx_bytes rx_alloc_fail rx_hw_drops rx_hw_drop_overruns rx_csum_complete
    rx_csum_unnecessary rx_csum_none rx_csum_bad rx_hw_gro_packets rx_hw_gro_bytes rx_hw_gro_wire_packets
    rx_hw_gro_wire_bytes rx_hw_drop_ratelimits tx_hw_drops tx_hw_drop_errors tx_csum_none tx_needs_csum
    tx_hw_gso_packets tx_hw_gso_bytes tx_hw_gso_wire_packets tx_hw_gso_wire_bytes tx_hw_drop_ratelimits tx_stop
    tx_wake
"""
_COUNTERS = tuple(_COUNTERS_TEXT.split())


@dataclass(frozen=True)
class Channels:
    """Queues in use, and how many there can be. None: this driver has no such kind of channel."""

    rx: int | None
    tx: int | None
    other: int | None
    combined: int | None
    rx_max: int | None
    tx_max: int | None
    other_max: int | None
    combined_max: int | None

    @property
    def receiving(self) -> int:
        """Receive queues: rx and combined ones. A driver that names none has one."""
        return max(1, (self.rx or 0) + (self.combined or 0))


@dataclass(frozen=True)
class Rings:
    """Descriptors of each queue's ring, and how many there can be. None: the driver does not say or has none."""

    rx: int | None
    tx: int | None
    rx_mini: int | None
    rx_jumbo: int | None
    rx_max: int | None
    tx_max: int | None
    rx_mini_max: int | None
    rx_jumbo_max: int | None
    rx_buf_len: int | None
    """Bytes of a receive buffer."""
    tcp_data_split: str | None
    """Whether headers and payload go to buffers apart: a packet's bytes are then not in one piece."""


@dataclass(frozen=True)
class QueueStats:
    """What a driver counts of one queue, by the netdev family's names. A counter that it does not keep is not there."""

    type: str
    """``rx`` or ``tx``."""
    queue: int
    counters: Mapping[str, int]


_CHANNELS = dict(zip((field.name for field in fields(Channels)), (6, 7, 8, 9, 2, 3, 4, 5), strict=True))
_RINGS = {"rx": 6, "tx": 9, "rx_mini": 7, "rx_jumbo": 8, "rx_max": 2, "tx_max": 5, "rx_mini_max": 3, "rx_jumbo_max": 4}


def read_channels(kernel: Kernel, ifindex: int) -> Channels:
    """Numbers of queues. Raises OSError: EOPNOTSUPP from a driver with one queue that cannot change."""
    told = kernel.ethtool(CHANNELS_GET, ifindex)
    return Channels(**{name: told.number(number) for name, number in _CHANNELS.items()})


def read_rings(kernel: Kernel, ifindex: int) -> Rings:
    """Sizes of rings. Raises OSError: EOPNOTSUPP from a driver without rings."""
    told = kernel.ethtool(RINGS_GET, ifindex)
    split = told.number(_TCP_DATA_SPLIT)
    return Rings(
        **{name: told.number(number) for name, number in _RINGS.items()},
        rx_buf_len=told.number(_RX_BUF_LEN),
        tcp_data_split={1: "off", 2: "on"}.get(split or 0),
    )


def read_queue_stats(kernel: Kernel, ifindex: int) -> tuple[QueueStats, ...]:
    """Counters of each queue, from 6.10 on. Raises OSError: EOPNOTSUPP from a driver that keeps none."""
    asked = attribute(_QSTATS_IFINDEX, ifindex) + attribute(_QSTATS_SCOPE, _SCOPE_QUEUE)
    return tuple(_queue_stats(told) for told in kernel.netdev.dump(_QSTATS_GET, asked))


def _queue_stats(told: Attributes) -> QueueStats:
    counters = {
        name: value
        for number, name in enumerate(_COUNTERS, _FIRST_COUNTER)
        if (value := told.number(number)) is not None
    }
    return QueueStats("tx" if told.number(_QSTATS_TYPE) else "rx", told.number(_QSTATS_ID) or 0, counters)
