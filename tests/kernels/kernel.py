# SPDX-License-Identifier: Apache-2.0
"""A Debian kernel, ready to boot: its uncompressed image, its modules and what depends on what among them."""

from __future__ import annotations

import lzma
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .apt import Apt
from .cache import TestbedError, directory, locked
from .tools import Tools

MATRIX = ("6.1", "6.12", "newest")
_IMAGE = re.compile(r"linux-image-([0-9][^-]*(?:-\d+)?)-amd64")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


@dataclass(frozen=True)
class Kernel:
    """One in the cache."""

    root: Path

    @property
    def version(self) -> str:
        """As in its package's name, e.g. 6.12.95+deb12."""
        return self.root.name

    @property
    def vmlinux(self) -> Path:
        """Uncompressed: booting it saves half the time."""
        return self.root / "vmlinux"

    @cached_property
    def modules(self) -> Path:
        """Its directory in lib/modules; its name is what `uname -r` says."""
        return next(path for path in (self.root / "lib" / "modules").iterdir() if path.is_dir())

    def with_dependencies(self, wanted: tuple[str, ...]) -> list[Path]:
        """The files of these modules and of what they need, in the order to load them. Built-in ones have none."""
        needs: dict[str, list[str]] = {}
        files: dict[str, str] = {}
        for line in (self.modules / "modules.dep").read_text(encoding="ascii").splitlines():
            file, _, needed = line.partition(":")
            files[_module_name(file)] = file
            needs[_module_name(file)] = [_module_name(need) for need in needed.split()]
        built_in = {_module_name(line) for line in (self.modules / "modules.builtin").read_text().splitlines()}
        order: list[str] = []
        for name in wanted:
            if name not in built_in:
                order += [each for each in [*reversed(needs[name]), name] if each not in order]
        return [self.modules / files[name] for name in order]


def _module_name(path: str) -> str:
    return Path(path).name.partition(".")[0].replace("-", "_")


def uncompressed_module(path: Path) -> bytes:
    """A module's own bytes, whatever Debian packed it with."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def cached(asked: str) -> Kernel | None:
    """The kernel that was fetched under this name (6.12, newest, …), if one was."""
    name = directory() / "names" / asked
    if not name.is_file():
        return None
    kernel = Kernel(directory() / "kernels" / name.read_text(encoding="ascii").strip())
    return kernel if kernel.vmlinux.is_file() else None


def get(asked: str, tools: Tools) -> Kernel:
    """The kernel under this name, fetched if it was not before. Raises TestbedError."""
    return cached(asked) or fetch(asked, tools)


def fetch(asked: str, tools: Tools) -> Kernel:
    """The newest that Debian has now under this name: 6.1, 6.12, 6.12.95+deb12, newest. Raises TestbedError."""
    with locked() as cache:
        apt = Apt(cache)
        apt.update()
        version = choose(asked, versions(apt))
        root = cache / "kernels" / version
        if not (root / "vmlinux").is_file():
            _unpack(apt, version, root, tools)
        (cache / "names").mkdir(exist_ok=True)
        (cache / "names" / asked).write_text(version + "\n", encoding="ascii")
    return Kernel(root)


def versions(apt: Apt) -> list[str]:
    """Those that Debian has now, oldest first."""
    packages = apt.names(r"^linux-image-[0-9].*-amd64$")
    return sorted({found[1] for package in packages if (found := _IMAGE.fullmatch(package))}, key=_order)


def choose(asked: str, available: list[str]) -> str:
    """The newest version that is what was asked for. Raises TestbedError."""
    if asked in available:
        return asked
    numbers = () if asked == "newest" else _order(asked)
    fitting = [version for version in available if _order(version)[: len(numbers)] == numbers]
    if not fitting:
        raise TestbedError(f"Debian has no kernel {asked}: python -m tests.kernels list --all names those that it has")
    return max(fitting, key=_order)


def _unpack(apt: Apt, version: str, root: Path, tools: Tools) -> None:
    """Newer kernels are split over several packages, older ones are in one."""
    half_done = root.with_name(root.name + ".part")
    shutil.rmtree(half_done, ignore_errors=True)
    apt.unpack(apt.names(rf"^linux-(image|binary|modules|base)-{re.escape(version)}-amd64$"), half_done)
    usr = half_done / "usr" / "lib" / "modules"
    if usr.is_dir():
        (half_done / "lib").mkdir(exist_ok=True)
        usr.rename(half_done / "lib" / "modules")
    modules = Kernel(half_done).modules
    image = next(path for pattern in ("boot/vmlinuz*", "lib/modules/*/vmlinuz") for path in half_done.glob(pattern))
    tools.depmod(half_done, modules.name)
    (half_done / "vmlinux").write_bytes(vmlinux(image.read_bytes()))
    shutil.rmtree(root, ignore_errors=True)
    half_done.rename(root)


def vmlinux(image: bytes) -> bytes:
    """The kernel in a compressed image (Linux: Documentation/arch/x86/boot.rst). Raises TestbedError."""
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[(sectors + 1) * 512 + offset :][:length]
    if packed.startswith(b"\xfd7zXZ"):
        unpacked = lzma.LZMADecompressor().decompress(packed)
    elif packed.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=False).stdout
    else:
        raise TestbedError(f"the kernel is packed in a way that is not known here ({packed[:4].hex()})")
    if not unpacked.startswith(b"\x7fELF"):
        raise TestbedError("what is in the kernel's image is no ELF file")
    return unpacked
