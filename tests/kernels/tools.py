# SPDX-License-Identifier: Apache-2.0
"""QEMU, and the programs that a guest needs before it has the host's: busybox and kmod."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .apt import Apt
from .cache import TestbedError, directory, locked

_PACKAGES = ("qemu-system-x86", "busybox-static", "kmod")
_SUITE = "bookworm-backports"  # Debian 12's own QEMU 7.2 has no igb
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


@dataclass(frozen=True)
class Tools:
    """What was unpacked below `root`; none of it is installed."""

    root: Path

    @property
    def qemu(self) -> Path:
        """The emulator."""
        return self.root / "usr/bin/qemu-system-x86_64"

    @property
    def firmware(self) -> Path:
        """Where it finds its option ROMs."""
        return self.root / "usr/share/qemu"

    @property
    def busybox(self) -> Path:
        """Static: runs in a guest that has nothing yet."""
        return self.root / "bin/busybox"

    @property
    def kmod(self) -> Path:
        """modprobe and depmod in one."""
        return self.root / "bin/kmod"

    @property
    def library_path(self) -> str:
        """LD_LIBRARY_PATH for the two that are not static."""
        return ":".join(str(self.root / part) for part in _LIBRARIES)

    def environment(self) -> dict[str, str]:
        """For programs of these."""
        return os.environ | {"LD_LIBRARY_PATH": self.library_path}

    def depmod(self, root: Path, release: str) -> None:
        """Writes what each module needs into root/lib/modules/release."""
        command = ["depmod", "-b", str(root), release]
        done = subprocess.run(
            command, executable=self.kmod, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise TestbedError(f"depmod failed: {done.stderr.strip()}")


def cached() -> Tools | None:
    """If they were fetched."""
    tools = Tools(directory() / "tools")
    return tools if tools.root.is_dir() else None


def get() -> Tools:
    """Fetches them if they were not before. Raises TestbedError."""
    return cached() or _fetch()


def _fetch() -> Tools:
    with locked() as cache:
        tools = Tools(cache / "tools")
        if tools.root.is_dir():
            return tools
        apt = Apt(cache)
        apt.update()
        half_done = cache / "tools.part"
        shutil.rmtree(half_done, ignore_errors=True)
        apt.unpack_with_dependencies(_PACKAGES, _SUITE, half_done)
        half_done.rename(tools.root)
    return tools
