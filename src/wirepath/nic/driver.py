# SPDX-License-Identifier: Apache-2.0
"""Who drives the interface, and where the device sits (ETHTOOL_GDRVINFO, sysfs).

The ethtool family of netlink does not have the driver's name: this is one of the few things that only ioctl tells.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from wirepath.linux.sysfs import number_in, text_in
from wirepath.nic.kernel import Kernel

__all__ = ["Driver", "pci_directory", "read_driver"]

_GDRVINFO = 0x3
_DRVINFO = struct.Struct("=I32s32s32s32s32s12x5I")
_LEVELS = ("device", "device/..", "device/../..")  # a virtio device is below its PCI device


@dataclass(frozen=True)
class Driver:
    """The driver and its device."""

    name: str
    version: str
    firmware: str
    bus_info: str
    pci_vendor: str | None
    """``0x8086``; None: it is not on a PCI bus."""
    pci_device: str | None
    numa_node: int | None
    """None: not on PCI, or a machine without NUMA nodes."""
    virtio_features: tuple[int, ...] | None
    """The feature bits that the virtual machine and its guest have agreed on; None: not a virtio device."""


def read_driver(kernel: Kernel, name: str, sysfs: Path | None) -> Driver:
    """The driver of an interface. Raises OSError: it has none that says so, as `lo`."""
    answer = kernel.ethtool_ioctl(name, struct.pack("=I", _GDRVINFO) + bytes(_DRVINFO.size - 4))
    texts = [part.split(b"\0")[0].decode("utf-8", "replace") for part in _DRVINFO.unpack(answer)[1:5]]
    pci = pci_directory(sysfs) if sysfs is not None else None
    node = number_in(pci / "numa_node") if pci is not None else None
    return Driver(
        name=texts[0],
        version=texts[1],
        firmware=texts[2],
        bus_info=texts[3],
        pci_vendor=text_in(pci / "vendor") if pci is not None else None,
        pci_device=text_in(pci / "device") if pci is not None else None,
        numa_node=node if node is not None and node >= 0 else None,
        virtio_features=_virtio_features(sysfs) if sysfs is not None else None,
    )


def _virtio_features(sysfs: Path) -> tuple[int, ...] | None:
    """A character for each bit, bit 0 first."""
    if _subsystem(sysfs / "device") != "virtio":
        return None
    text = text_in(sysfs / "device/features")
    return None if text is None else tuple(bit for bit, word in enumerate(text) if word == "1")


def pci_directory(sysfs: Path) -> Path | None:
    """The PCI device in sysfs that an interface belongs to."""
    for level in _LEVELS:
        if _subsystem(sysfs / level) == "pci":
            return sysfs / level
    return None


def _subsystem(device: Path) -> str | None:
    try:
        return (device / "subsystem").readlink().name
    except OSError:
        return None
