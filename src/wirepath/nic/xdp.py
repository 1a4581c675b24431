# SPDX-License-Identifier: Apache-2.0
"""What the driver can do in XDP, and which programs are attached (netdev dev-get, IFLA_XDP)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wirepath.linux.bpf import program_name
from wirepath.linux.netlink import attribute
from wirepath.nic.kernel import Kernel
from wirepath.nic.link import LinkMessage

__all__ = ["Program", "XdpFeatures", "attached_xdp", "named", "read_xdp_features"]

_DEV_GET = 1
_IFINDEX, _FEATURES, _ZC_MAX_SEGS, _RX_METADATA, _XSK_FEATURES = 1, 3, 4, 5, 6
_ACTIONS = ("basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg")
_METADATA = ("timestamp", "hash", "vlan-tag")
_XSK = ("tx-timestamp", "tx-checksum", "tx-launch-time-fifo")
_MODES = {5: "native", 6: "generic", 7: "offload"}  # IFLA_XDP_DRV_PROG_ID, _SKB_, _HW_


@dataclass(frozen=True)
class XdpFeatures:
    """What the driver says of itself, from 6.3 on."""

    features: tuple[str, ...]
    """``basic`` (native XDP), ``redirect``, ``xsk-zerocopy``, ``rx-sg`` (packets of several buffers), …"""
    zc_max_segs: int | None
    """Buffers of one packet in zero-copy AF_XDP, at the most; None: the kernel does not tell."""
    rx_metadata: tuple[str, ...] | None
    """What a native program can ask of a packet: ``timestamp``, ``hash``, ``vlan-tag``; None: it is not told."""
    xsk_features: tuple[str, ...] | None

    @property
    def native(self) -> bool:
        """A program can run in the driver, before an sk_buff is made."""
        return "basic" in self.features

    @property
    def zero_copy(self) -> bool:
        """AF_XDP can have the NIC write into the application's memory."""
        return "xsk-zerocopy" in self.features

    @property
    def fragments(self) -> bool:
        """A program can get packets that are in several buffers, as at a large MTU."""
        return "rx-sg" in self.features


@dataclass(frozen=True)
class Program:
    """A BPF program that is attached."""

    hook: str
    """``xdp``, ``tc`` or ``tcx``."""
    mode: str
    """Of XDP: ``native``, ``generic``, ``offload``; of tc and tcx: ``ingress``, ``egress``."""
    id: int
    name: str | None
    """None: it may not be asked (CAP_SYS_ADMIN)."""


def read_xdp_features(kernel: Kernel, ifindex: int) -> XdpFeatures:
    """The driver's own words. Raises OSError: ENOENT before 6.3, which does not have the netdev family."""
    told = kernel.netdev.ask(_DEV_GET, attribute(_IFINDEX, ifindex))
    metadata, xsk = told.number(_RX_METADATA), told.number(_XSK_FEATURES)
    return XdpFeatures(
        features=_words(told.number(_FEATURES) or 0, _ACTIONS),
        zc_max_segs=told.number(_ZC_MAX_SEGS),
        rx_metadata=None if metadata is None else _words(metadata, _METADATA),
        xsk_features=None if xsk is None else _words(xsk, _XSK),
    )


def attached_xdp(message: LinkMessage) -> tuple[Program, ...]:
    """The programs in the interface's own message."""
    told: Mapping[int, int | None] = {number: message.xdp.number(number) for number in _MODES}
    return tuple(named("xdp", mode, program) for number, mode in _MODES.items() if (program := told[number]))


def named(hook: str, mode: str, number: int) -> Program:
    """A program with its name, where it may be asked."""
    try:
        return Program(hook, mode, number, program_name(number))
    except OSError:
        return Program(hook, mode, number, None)


def _words(bits: int, names: tuple[str, ...]) -> tuple[str, ...]:
    known = [name for place, name in enumerate(names) if bits >> place & 1]
    return (*known, *(f"bit {place}" for place in range(len(names), bits.bit_length()) if bits >> place & 1))
