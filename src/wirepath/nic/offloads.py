# SPDX-License-Identifier: Apache-2.0
"""What the NIC does to packets on its own, and what a capture sees because of it (ethtool FEATURES_GET)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wirepath.nic.ethtool import FEATURES_GET, bits
from wirepath.nic.kernel import Kernel

__all__ = ["CAPTURE_OFFLOADS", "CaptureOffload", "Offload", "read_offloads"]

_HW, _WANTED, _ACTIVE, _NOCHANGE = 2, 3, 4, 5


@dataclass(frozen=True)
class Offload:
    """One feature of the device, by the kernel's name for it."""

    name: str
    active: bool
    wanted: bool
    """What was asked for; the driver may have granted something else."""
    changeable: bool


@dataclass(frozen=True)
class CaptureOffload:
    """A feature that changes what a capture sees."""

    feature: str
    word: str
    """What `ethtool -K` calls it."""
    when_on: str
    when_off: str


CAPTURE_OFFLOADS = (
    CaptureOffload(
        "rx-gro",
        "gro",
        "packets of a TCP or UDP flow are merged before a tap sees them: fewer and longer than on the wire. "
        "AF_XDP in native mode sees them before the merge",
        "taps see packets as they were on the wire",
    ),
    CaptureOffload(
        "rx-gro-hw",
        "rx-gro-hw",
        "the NIC itself merges packets of a TCP flow: no engine sees them as they were on the wire",
        "the NIC does not merge packets",
    ),
    CaptureOffload(
        "rx-lro",
        "lro",
        "the NIC merges packets of a TCP flow and loses what told them apart: no engine sees them as they were, "
        "and some drivers refuse native XDP",
        "the NIC does not merge packets",
    ),
    CaptureOffload(
        "rx-gro-list",
        "rx-gro-list",
        "packets of a flow are chained before a tap sees them: fewer and longer than on the wire",
        "packets are not chained",
    ),
    CaptureOffload(
        "rx-udp-gro-forwarding",
        "rx-udp-gro-forwarding",
        "UDP packets of a flow are merged even if no socket asked for it",
        "UDP packets are merged only for sockets that asked for it",
    ),
    CaptureOffload(
        "rx-vlan-hw-parse",
        "rxvlan",
        "the NIC takes the VLAN tag out of the bytes: it comes beside them (vlan_tci), and XDP sees it only where the "
        "driver has the metadata function",
        "a VLAN tag stays in the bytes",
    ),
    CaptureOffload(
        "rx-vlan-filter",
        "rx-vlan-filter",
        "packets of VLANs that nobody has configured here are dropped by the NIC, unless it is promiscuous",
        "packets of all VLANs come in",
    ),
    CaptureOffload(
        "rx-vlan-stag-hw-parse",
        "rx-vlan-stag-hw-parse",
        "the NIC takes the outer tag (802.1ad) out of the bytes",
        "an outer tag stays in the bytes",
    ),
    CaptureOffload(
        "rx-checksum",
        "rx",
        "the NIC checks checksums: a capture may be told which it has verified",
        "checksums are checked by the CPU",
    ),
    CaptureOffload(
        "rx-fcs",
        "rx-fcs",
        "each packet ends with its 4 bytes of FCS",
        "the FCS is not captured",
    ),
    CaptureOffload(
        "rx-all",
        "rx-all",
        "packets with errors on the wire come in, too",
        "packets with errors on the wire are dropped by the NIC",
    ),
    CaptureOffload(
        "rx-ntuple-filter",
        "ntuple",
        "rules may send flows to a queue or drop them in the NIC (ethtool -n)",
        "no rules of flows in the NIC",
    ),
    CaptureOffload(
        "hw-tc-offload",
        "hw-tc-offload",
        "tc rules may run in the NIC: what they drop or redirect there is seen by no engine",
        "tc rules run on the CPU",
    ),
    CaptureOffload(
        "tx-tcp-segmentation",
        "tso",
        "what this host sends is captured before it is cut: TCP packets of up to 64 KiB and more",
        "TCP packets that this host sends are cut before a tap sees them, if gso is off, too",
    ),
    CaptureOffload(
        "tx-generic-segmentation",
        "gso",
        "packets that this host sends are cut after a tap has seen them",
        "packets that this host sends are cut before a tap sees them",
    ),
    CaptureOffload(
        "tx-checksum-ip-generic",
        "tx",
        "checksums of what this host sends are filled in after a tap has seen them: they look wrong in a capture",
        "checksums of what this host sends are right in a capture",
    ),
)


def read_offloads(kernel: Kernel, ifindex: int) -> Mapping[str, Offload]:
    """Every feature that this kernel knows, by its name. Raises OSError."""
    told = kernel.ethtool(FEATURES_GET, ifindex)
    changeable = bits(told.nest(_HW))
    fixed = bits(told.nest(_NOCHANGE))
    wanted, active = bits(told.nest(_WANTED)), bits(told.nest(_ACTIVE))
    return {
        name: Offload(name, name in active, name in wanted, changeable[name] and name not in fixed)
        for name in changeable
        if name  # a bit of this kernel without a name
    }
