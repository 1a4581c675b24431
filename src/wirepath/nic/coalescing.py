# SPDX-License-Identifier: Apache-2.0
"""How long the NIC waits before it interrupts (ethtool COALESCE_GET)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wirepath.nic.ethtool import COALESCE_GET
from wirepath.nic.kernel import Kernel

__all__ = ["Coalescing", "read_coalescing"]

_FIRST = 2
_FIELDS_TEXT = """
    rx_usecs rx_max_frames rx_usecs_irq rx_max_frames_irq tx_usecs tx_max_frames tx_usecs_irq tx_max_frames_irq
    stats_block_usecs adaptive_rx adaptive_tx pkt_rate_low rx_usecs_low rx_max_frames_low tx_usecs_low
    tx_max_frames_low pkt_rate_high rx_usecs_high rx_max_frames_high tx_usecs_high tx_max_frames_high
    rate_sample_interval cqe_mode_tx cqe_mode_rx tx_aggr_max_bytes tx_aggr_max_frames tx_aggr_time_usecs
"""
_FIELDS = tuple(_FIELDS_TEXT.split())
_FLAGS = {"adaptive_rx", "adaptive_tx", "cqe_mode_tx", "cqe_mode_rx"}


@dataclass(frozen=True)
class Coalescing:
    """The parameters that the driver has, by their names in the ethtool family. One that it does not have is not there.

    Times are in microseconds.
    """

    parameters: Mapping[str, int | bool]

    @property
    def rx_usecs(self) -> int | None:
        """Microseconds from a packet to the interrupt, at the most; None: not told, or the driver chooses."""
        value = self.parameters.get("rx_usecs")
        return None if value is None else int(value)

    @property
    def rx_max_frames(self) -> int | None:
        """Packets after which the NIC interrupts sooner."""
        value = self.parameters.get("rx_max_frames")
        return None if value is None else int(value)

    @property
    def adaptive_rx(self) -> bool | None:
        """Whether the driver adapts the receive side's waiting to the traffic."""
        value = self.parameters.get("adaptive_rx")
        return None if value is None else bool(value)


def read_coalescing(kernel: Kernel, ifindex: int) -> Coalescing:
    """The parameters. Raises OSError: EOPNOTSUPP from a driver without them."""
    told = kernel.ethtool(COALESCE_GET, ifindex)
    found: dict[str, int | bool] = {}
    for number, name in enumerate(_FIELDS, _FIRST):
        value = told.number(number)
        if value is not None:
            found[name] = bool(value) if name in _FLAGS else value
    return Coalescing(found)
