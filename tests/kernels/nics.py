# SPDX-License-Identifier: Apache-2.0
"""The emulated NICs. Each comes as a pair joined by a hub of its own: no network outside the guest is touched."""

from __future__ import annotations

from dataclasses import dataclass

from .cache import TestbedError

VETH = "veth"  # two interfaces that the guest makes for itself


@dataclass(frozen=True)
class Nic:
    """One kind of NIC."""

    name: str
    device: str  # QEMU's name for it, with options
    module: str  # its driver
    prefix: str  # of the names in the guest: prefix0, prefix1
    express: bool = False  # behind a PCI Express port of its own

    @property
    def interfaces(self) -> tuple[str, str]:
        """The pair, as the guest names it."""
        return f"{self.prefix}0", f"{self.prefix}1"


NICS = {
    nic.name: nic
    for nic in (
        Nic("e1000", "e1000", "e1000", "e1000x"),
        Nic("e1000e", "e1000e", "e1000e", "e1000e"),
        Nic("igb", "igb", "igb", "igb", express=True),
        # Modern and through the DMA interface: what zero-copy needs of it (Linux 7.3).
        Nic("virtio-net", "virtio-net-pci,disable-legacy=on,iommu_platform=on", "virtio_net", "virtio"),
        Nic("vmxnet3", "vmxnet3", "vmxnet3", "vmxnet3x"),
    )
}


def chosen(names: str) -> list[Nic]:
    """The NICs in a list like igb,e1000e. Raises TestbedError for one that is not known."""
    wanted = [name for name in names.split(",") if name and name != VETH]
    unknown = [name for name in wanted if name not in NICS]
    if unknown:
        raise TestbedError(f"no NIC is called {unknown[0]}: there are {', '.join((*NICS, VETH))}")
    return [NICS[name] for name in wanted]


def mac(nic: int, end: int) -> str:
    """Of an end (0 or 1) of the n-th pair: the guest finds its interfaces by it."""
    return f"52:54:00:00:{nic + 1:02x}:{end + 1:02x}"


def arguments(nics: list[Nic]) -> list[str]:
    """For QEMU. Without `romfile=` each NIC would try to boot."""
    made: list[str] = []
    for number, nic in enumerate(nics):
        for end in (0, 1):
            port = f"nic{number}end{end}"
            made += ["-netdev", f"hubport,id={port},hubid={number + 1}"]
            # A slot of its own: igb's virtual functions want the ones beside it.
            made += ["-device", f"pcie-root-port,id={port}root,chassis={2 * number + end + 1}"] if nic.express else []
            bus = f",bus={port}root" if nic.express else ""
            made += ["-device", f"{nic.device},netdev={port},mac={mac(number, end)},romfile={bus}"]
    return made
