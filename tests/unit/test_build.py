# SPDX-License-Identifier: Apache-2.0
"""What CMake makes of a machine where something optional is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_DPDK = {"dpdk": "not built: libdpdk was not found"}  # it needs both, as Debian has it

if shutil.which("cmake") is None or shutil.which("pkg-config") is None:
    pytest.skip("cmake or pkg-config is not installed", allow_module_level=True)


def pkg_config_without(name: str, place: Path) -> dict[str, str]:
    """An environment whose pkg-config finds what this machine has, except one module."""
    searched = subprocess.run(
        ["pkg-config", "--variable", "pc_path", "pkg-config"], check=True, capture_output=True, text=True
    ).stdout
    place.mkdir()
    for directory in reversed(searched.strip().split(":")):
        for module in Path(directory).glob("*.pc"):
            link = place / module.name
            link.unlink(missing_ok=True)
            link.symlink_to(module)
    (place / f"{name}.pc").unlink()
    return os.environ | {"PKG_CONFIG_LIBDIR": str(place), "PKG_CONFIG_PATH": ""}


def unbuilt(build: Path, *arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """The engines that such a build leaves out, and what it says of each."""
    command = ["cmake", "-S", ROOT, "-B", build, "-DWIREPATH_PYTHON=OFF", *arguments]
    subprocess.run(command, check=True, capture_output=True, env=env)
    header = (build / "generated/engines/built.hpp").read_text()
    return dict(re.findall(r'#define WIREPATH_UNBUILT_(\w+) "(.*)"', header))


def test_here_nothing_is_left_out(tmp_path: Path) -> None:
    assert unbuilt(tmp_path) == {}


def test_without_libbpf(tmp_path: Path) -> None:
    env = pkg_config_without("libbpf", tmp_path / "pc")
    left_out = unbuilt(tmp_path / "build", env=env)
    assert left_out == dict.fromkeys(("af_xdp", "ebpf"), "not built: libbpf was not found") | WITHOUT_DPDK


def test_without_libpcap(tmp_path: Path) -> None:
    env = pkg_config_without("libpcap", tmp_path / "pc")
    assert unbuilt(tmp_path / "build", env=env) == {"pcap": "not built: libpcap was not found"} | WITHOUT_DPDK


def test_without_clang(tmp_path: Path) -> None:
    left_out = unbuilt(tmp_path, "-DWIREPATH_CLANG=OFF")
    assert left_out == dict.fromkeys(("af_xdp", "ebpf"), "not built: clang and bpftool were not found")
