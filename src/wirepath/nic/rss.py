# SPDX-License-Identifier: Apache-2.0
"""How the NIC spreads packets over its queues (ETHTOOL_GRSSH, ETHTOOL_GRXFH).

By ioctl: it answers alike on all kernels, while the netlink message came with 6.3 and its hash fields with 6.17.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from wirepath.nic.kernel import Kernel

__all__ = ["Rss", "read_rss"]

_GRSSH, _GRXFH = 0x46, 0x29
_RXFH = struct.Struct("=IIIIB3xI")
_RXNFC_BYTES = 192  # struct ethtool_rxnfc on x86-64
_FUNCTIONS = {1: "toeplitz", 2: "xor", 4: "crc32"}
_FLOWS = {"tcp4": 1, "udp4": 2, "tcp6": 5, "udp6": 6}
_FIELDS = {1 << 1: "mac-da", 1 << 2: "vlan", 1 << 3: "protocol", 1 << 4: "src-ip", 1 << 5: "dst-ip"}
_FIELDS |= {1 << 6: "src-port", 1 << 7: "dst-port", 1 << 31: "discard"}


@dataclass(frozen=True)
class Rss:
    """Receive side scaling."""

    function: str | None
    indirection: tuple[int, ...]
    """The queue for each value of the hash's low bits; empty: the driver has no table."""
    key: bytes
    """Empty: the driver does not tell it."""
    fields: Mapping[str, tuple[str, ...]]
    """For ``tcp4``, ``udp4``, ``tcp6``, ``udp6``: the header fields that are hashed. What is not told is not there."""

    @property
    def queues(self) -> tuple[int, ...]:
        """The queues that the table names."""
        return tuple(sorted(set(self.indirection)))


def read_rss(kernel: Kernel, name: str) -> Rss:
    """The table, the key and what is hashed. Raises OSError: EOPNOTSUPP from a driver without RSS."""
    empty = _RXFH.pack(_GRSSH, 0, 0, 0, 0, 0)
    _, _, entries, key_bytes, function, _ = _RXFH.unpack(kernel.ethtool_ioctl(name, empty))
    asked = _RXFH.pack(_GRSSH, 0, entries, key_bytes, 0, 0) + bytes(4 * entries + key_bytes)
    answer = kernel.ethtool_ioctl(name, asked)[_RXFH.size :]
    return Rss(
        function=_FUNCTIONS.get(function),
        indirection=struct.unpack_from(f"={entries}I", answer),
        key=answer[4 * entries :],
        fields=dict(_fields(kernel, name)),
    )


def _fields(kernel: Kernel, name: str) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for flow, number in _FLOWS.items():
        try:
            answer = kernel.ethtool_ioctl(name, struct.pack("=IIQ", _GRXFH, number, 0) + bytes(_RXNFC_BYTES - 16))
        except OSError:
            continue
        data = struct.unpack_from("=Q", answer, 8)[0]
        found.append((flow, tuple(word for bit, word in _FIELDS.items() if data & bit)))
    return found
