# SPDX-License-Identifier: Apache-2.0
"""Binding, as far as it goes without a NIC to spare: what is refused, and what is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

import wirepath as wp
from wirepath import nic
from wirepath.nic import binding


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PCI bus of files: 0000:01:00.0 has the driver e1000e. The kernel's part of it is played by `_write`."""
    root = tmp_path / "pci"
    device = root / "devices" / "0000:01:00.0"
    for driver in ("e1000e", "vfio-pci", "uio_pci_generic"):
        (root / "drivers" / driver).mkdir(parents=True)
    (device / "net" / "eth7").mkdir(parents=True)
    (device / "driver").symlink_to(root / "drivers" / "e1000e")
    (device / "driver_override").write_text("")

    def write(path: Path, text: str) -> None:
        if path.name == "unbind":
            (device / "driver").unlink()
        elif path.name == "drivers_probe":
            wanted = (device / "driver_override").read_text().strip() or "e1000e"
            if (root / "drivers" / wanted / "refuses").exists():
                raise OSError
            (device / "driver").symlink_to(root / "drivers" / wanted)
        else:
            path.write_text(text)

    monkeypatch.setattr(binding, "_PCI", root)
    monkeypatch.setattr(binding, "_write", write)
    return root


def _driver(bus: Path) -> str:
    return (bus / "devices" / "0000:01:00.0" / "driver").resolve().name


def test_bind_and_unbind(bus: Path, tmp_path: Path) -> None:
    state = tmp_path / "state" / "bindings.json"
    made = nic.bind("01:00.0", "uio_pci_generic", state=state)
    assert made == nic.Binding("0000:01:00.0", "eth7", "e1000e", "uio_pci_generic")
    assert _driver(bus) == "uio_pci_generic"
    assert nic.bindings(state) == [made]
    assert nic.unbind("eth7", state=state) == made
    assert _driver(bus) == "e1000e"
    assert nic.bindings(state) == []


def test_bound_twice_is_undone_to_the_first(bus: Path, tmp_path: Path) -> None:
    (bus / "devices" / "0000:01:00.0" / "iommu_group" / "devices" / "0000:01:00.0").mkdir(parents=True)
    state = tmp_path / "bindings.json"
    nic.bind("01:00.0", "uio_pci_generic", state=state)
    assert nic.bind("01:00.0", "vfio-pci", state=state).before == "e1000e"
    nic.unbind("0000:01:00.0", state=state)
    assert _driver(bus) == "e1000e"


def test_a_driver_that_does_not_take_it(bus: Path, tmp_path: Path) -> None:
    (bus / "drivers" / "uio_pci_generic" / "refuses").touch()
    state = tmp_path / "bindings.json"
    with pytest.raises(wp.BusyError, match="did not take 0000:01"):
        nic.bind("01:00.0", "uio_pci_generic", state=state)
    assert _driver(bus) == "e1000e"
    assert nic.bindings(state) == []


def test_the_default_route_is_refused(bus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "_carries_default_route", lambda name: name == "eth7")
    state = tmp_path / "bindings.json"
    with pytest.raises(wp.RefusedError, match="--force"):
        nic.bind("01:00.0", "uio_pci_generic", state=state)
    assert _driver(bus) == "e1000e"
    nic.bind("01:00.0", "uio_pci_generic", force=True, state=state)
    assert _driver(bus) == "uio_pci_generic"


def test_without_an_iommu(bus: Path, tmp_path: Path) -> None:
    with pytest.raises(wp.UnsupportedError, match="intel_iommu=on"):
        nic.bind("01:00.0", "vfio-pci", state=tmp_path / "bindings.json")
    assert _driver(bus) == "e1000e"


@pytest.mark.parametrize(
    ("device", "driver", "said"),
    [
        ("lo", "vfio-pci", "no device on the PCI bus"),
        ("nic0", "vfio-pci", "neither"),
        ("01:00.0", "e1000e", "no driver"),
    ],
)
def test_what_cannot_be_bound(bus: Path, tmp_path: Path, device: str, driver: str, said: str) -> None:
    with pytest.raises(wp.NotFoundError, match=said):
        nic.bind(device, driver, state=tmp_path / "bindings.json")
