# SPDX-License-Identifier: Apache-2.0
"""Taking a NIC from its kernel driver for DPDK, and giving it back.

What was bound is written down in ``/run/wirepath/bindings.json``, so that it can be undone by another process, in
another terminal, after a crash. A restart of the machine undoes it, too: then the file is gone as well.
"""

import contextlib
import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from wirepath.errors import BusyError, NoPermissionError, NotFoundError, RefusedError, UnsupportedError, error

__all__ = ["DRIVERS", "Binding", "bind", "bindings", "unbind"]

DRIVERS = ("vfio-pci", "uio_pci_generic", "igb_uio")
"""Those that leave a device to a program."""

_PCI = Path("/sys/bus/pci")
_STATE = Path("/run/wirepath/bindings.json")
_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


@dataclass(frozen=True)
class Binding:
    """A device that was taken from the kernel."""

    address: str
    """Its PCI address."""
    interface: str
    """The kernel's interface that it was; empty if it was none."""
    before: str
    """The driver that it had; empty: none."""
    driver: str
    """The driver that it was given."""


def bind(device: str, driver: str, *, force: bool = False, state: Path = _STATE) -> Binding:
    """Give a PCI device, named by address or interface, to a driver that leaves it to DPDK.

    Raises:
        NotFoundError: no such device, or no such driver in this kernel.
        RefusedError: it carries the default route, and not `force`.
        UnsupportedError: vfio-pci without an IOMMU, or a device that shares its IOMMU group with one in use.
        NoPermissionError: not root.
        BusyError: the kernel did not let it go, or the driver did not take it; it is back where it was.
    """
    address = _address_of(device)
    interface = next(iter(_interfaces(address)), "")
    if not force and any(_carries_default_route(name) for name in _interfaces(address)):
        raise error(
            RefusedError,
            f"giving {device} to {driver}: it carries the default route of this host",
            "What reaches this host by it would be lost, you perhaps too. If that is what you want: --force",
        )
    _load(driver)
    if driver == "vfio-pci":
        _check_iommu(address)
    with _locked(state) as known:
        made = known.get(address) or Binding(address, interface, _driver_of(address), driver)
        made = Binding(made.address, made.interface, made.before, driver)
        known[address] = made  # written down before it is done: whatever happens then can be undone
        _save(state, known)
        try:
            _give(address, driver)
        except BaseException:
            _give_back(made)
            del known[address]
            raise
        return made


def unbind(device: str, *, state: Path = _STATE) -> Binding:
    """Give a device back to the driver that the kernel has for it.

    Raises:
        NotFoundError: no such device, by address or by the interface that it was.
        BusyError: the kernel's driver did not take it.
        NoPermissionError: not root.
    """
    with _locked(state) as known:
        was = next((row for row in known.values() if device in (row.address, row.interface)), None)
        address = was.address if was is not None else _address_of(device)
        binding = was or Binding(address, "", "", _driver_of(address))
        _give_back(binding)
        known.pop(address, None)
        return binding


def bindings(state: Path = _STATE) -> list[Binding]:
    """What was taken and not given back."""
    return list(_load_state(state).values())


def _address_of(device: str) -> str:
    if found := _ADDRESS.fullmatch(device):
        address = f"{found[1] or '0000'}:{found[2]}".lower()
    else:
        place = Path("/sys/class/net", device, "device")
        if not place.exists() or (place / "subsystem").resolve().name != "pci":
            there = place.parent.exists()
            what = "is no device on the PCI bus" if there else "is neither an interface nor a PCI address"
            raise error(NotFoundError, f"'{device}' {what}", "`ip link` and `lspci -D` list them")
        address = place.resolve().name
    if not (_PCI / "devices" / address).exists():
        raise error(NotFoundError, f"there is no PCI device {address}", "`lspci -D` lists them")
    return address


def _interfaces(address: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(path.name for path in (_PCI / "devices" / address / "net").iterdir())
    return []


def _driver_of(address: str) -> str:
    driver = _PCI / "devices" / address / "driver"
    return driver.resolve().name if driver.exists() else ""


def _carries_default_route(interface: str) -> bool:
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            name, destination, *_ = line.split()
            if (name, destination) == (interface, "00000000"):
                return True
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/ipv6_route").read_text().splitlines():
            fields = line.split()
            if fields[9] == interface and fields[0] == "0" * 32 and fields[1] == "00":
                return True
    return False


def _load(driver: str) -> None:
    if driver not in DRIVERS:
        raise error(
            NotFoundError, f"{driver} is no driver that leaves a device to DPDK", f"Those are: {', '.join(DRIVERS)}"
        )
    if not (_PCI / "drivers" / driver).exists():
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["modprobe", driver], check=False, capture_output=True)
    if not (_PCI / "drivers" / driver).exists():
        raise error(NotFoundError, f"this kernel has no driver {driver}", f"Load its module: modprobe {driver}")


def _check_iommu(address: str) -> None:
    group = _PCI / "devices" / address / "iommu_group"
    if not group.exists():
        raise error(
            UnsupportedError,
            f"vfio-pci cannot have {address}: no IOMMU is in use",
            "Boot with intel_iommu=on (or amd_iommu=on), or use uio_pci_generic, with huge pages",
        )
    for other in sorted(path.name for path in (group / "devices").iterdir()):
        if other != address and _driver_of(other) not in ("", "pcieport", "pci-stub", "vfio-pci"):
            raise error(
                UnsupportedError,
                f"vfio-pci cannot have {address}: {_driver_of(other)} has {other}, of the same IOMMU group",
                "Bind that one to vfio-pci too, or use another slot",
            )


def _give(address: str, driver: str) -> None:
    """To this driver; empty: the one that the kernel chooses."""
    device = _PCI / "devices" / address
    if driver and _driver_of(address) == driver:
        return
    if _driver_of(address):
        _write(device / "driver" / "unbind", address)
    _write(device / "driver_override", driver or "\n")
    with contextlib.suppress(OSError):  # what became of it is looked at below
        _write(_PCI / "drivers_probe", address)
    if driver and _driver_of(address) != driver:
        raise error(BusyError, f"{driver} did not take {address}", "The kernel's log says why: dmesg | tail")


def _give_back(binding: Binding) -> None:
    _give(binding.address, "")
    now = _driver_of(binding.address)
    if now in DRIVERS or (binding.before and now != binding.before):
        raise error(
            BusyError,
            f"{binding.address} was given back, and {binding.before or 'a driver of the kernel'} did not take it",
            f"modprobe {binding.before or 'its module'}, then: echo {binding.address} >/sys/bus/pci/drivers_probe",
        )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except PermissionError as cause:
        raise error(NoPermissionError, f"writing to {path}", "Run it as root: sudo wirepath nic …") from cause


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[dict[str, Binding]]:
    """What is written down; what it is changed to is written. One process at a time."""
    try:
        state.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(state.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as cause:
        raise error(NoPermissionError, f"writing to {state.parent}", "Run it as root: sudo wirepath nic …") from cause
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _load_state(state)
        try:
            yield known
        finally:
            _save(state, known)
    finally:
        os.close(lock)


def _load_state(state: Path) -> dict[str, Binding]:
    try:
        rows = json.loads(state.read_text(encoding="utf-8"))["bindings"]
    except FileNotFoundError:
        return {}
    return {row["address"]: Binding(**row) for row in rows}


def _save(state: Path, known: dict[str, Binding]) -> None:
    whole = state.with_suffix(".new")
    whole.write_text(json.dumps({"v": 1, "bindings": [asdict(row) for row in known.values()]}), encoding="utf-8")
    whole.replace(state)
