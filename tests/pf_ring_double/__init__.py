# SPDX-License-Identifier: Apache-2.0
"""A double of libpfring, compiled here, and of what PF_RING's kernel module shows of itself. It is not PF_RING.

Where WIREPATH_LIBPFRING names a library already, that is tested: the real one, say, over the real module.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

SLOTS = 4096
_SOURCE = Path(__file__).with_name("pfring_double.c")
_INFO = """\
PF_RING Version          : 8.9.0 (a double, for tests)
Total rings              : 0

Standard (non ZC) Options
Ring slots               : {slots}
Slot version             : {slot_version}
Capture TX               : Yes [RX+TX]
IP Defragment            : No
Socket Mode              : Standard
"""


class Double:
    """The library, and a directory in the place of /proc/net/pf_ring and of the module's parameters."""

    def __init__(self, library: Path, root: Path) -> None:
        self.library, self.root = library, root
        (root / "proc/dev").mkdir(parents=True)
        (root / "parameters").mkdir()
        self.load_module()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in order to find it."""
        return {"WIREPATH_LIBPFRING": str(self.library), "WIREPATH_PFRING_DOUBLE_ROOT": str(self.root)}

    def load_module(self, slot_version: int = 21, **parameters: int) -> None:
        """As if it had been loaded with these parameters."""
        defaults = {"min_num_slots": SLOTS, "enable_tx_capture": 1, "transparent_mode": 0, "quick_mode": 0}
        (self.root / "proc/info").write_text(_INFO.format(slots=SLOTS, slot_version=slot_version))
        for name, value in (defaults | parameters).items():
            (self.root / "parameters" / name).write_text(f"{value}\n")

    def unload_module(self) -> None:
        """As if it had never been loaded."""
        (self.root / "proc/info").unlink()

    def give_zero_copy_driver(self, interface: str) -> None:
        """As if the interface's driver were one of ntop's."""
        directory = self.root / "proc/dev" / interface
        directory.mkdir(exist_ok=True)
        (directory / "info").write_text(f"Name:         {interface}\nPolling Mode: NAPI/ZC\n")


def build(directory: Path) -> Path:
    """The library, in this directory."""
    library = directory / "libpfring_double.so"
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-o", library, _SOURCE]
    subprocess.run([*command, "-lpcap"], check=True, timeout=120)
    return library


@functools.cache
def _of_this_run() -> tuple[Double, tempfile.TemporaryDirectory[str]]:
    kept = tempfile.TemporaryDirectory(prefix="pf_ring-double-")
    place = Path(kept.name)
    return Double(build(place), place / "module"), kept


def environment() -> dict[str, str]:
    """For whoever is to capture with pf_ring: a double that all tests share, or nothing where the real one is named."""
    return {} if "WIREPATH_LIBPFRING" in os.environ else _of_this_run()[0].environment
