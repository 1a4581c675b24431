# SPDX-License-Identifier: Apache-2.0
"""Where fetched kernels and QEMU are kept: outside the tree, so that every checkout shares them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_OVERRIDE = "WIREPATH_KERNELS"


class TestbedError(Exception):
    """What the testbed cannot do here, in one line for who has to do something about it."""

    __test__ = False


def directory() -> Path:
    """$WIREPATH_KERNELS, or wirepath/kernels in the user's cache."""
    if override := os.environ.get(_OVERRIDE):
        return Path(override).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "wirepath" / "kernels"


@contextlib.contextmanager
def locked() -> Iterator[Path]:
    """The cache, for one process at a time: several checkouts may fetch at once."""
    made = directory()
    made.mkdir(parents=True, exist_ok=True)
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield made
