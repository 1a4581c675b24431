# SPDX-License-Identifier: Apache-2.0
"""Reading /sys and /proc: small files, each of which may be missing.

/sys/class/net shows the network namespace in which that sysfs was mounted, not the one a thread is in. So a view of
another namespace is a sysfs of its own, attached to no directory and gone with its descriptor.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Self

__all__ = ["Sysfs", "cpus_in_mask", "number_in", "text_in"]

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # alike on every architecture
_CMD_CREATE, _CLOEXEC = 6, 1

_libc = ctypes.CDLL(None, use_errno=True)


def text_in(path: Path | str) -> str | None:
    """What a small file says; None: it is not there, or refuses to be read (as `speed` does without a carrier)."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number_in(path: Path | str, base: int = 10) -> int | None:
    """A file's number, or None."""
    text = text_in(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def cpus_in_mask(text: str) -> tuple[int, ...]:
    """The CPUs in a mask as sysfs writes it: hex in groups of 32 bits, the last group has CPU 0."""
    mask = int(text.replace(",", ""), 16)
    return tuple(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


class Sysfs:
    """A view of /sys as the calling thread's network namespace sees it."""

    def __init__(self, *, mounted: bool) -> None:
        """With `mounted`, /sys itself is used. Raises OSError: a new view needs CAP_SYS_ADMIN."""
        self._fd = -1 if mounted else _new_sysfs()
        self.root = Path("/sys") if mounted else Path(f"/proc/{os.getpid()}/fd/{self._fd}")

    def device(self, interface: str) -> Path:
        """The directory of a network interface."""
        return self.root / "class/net" / interface

    def close(self) -> None:
        """Lets go of the view."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _new_sysfs() -> int:
    context = _call(_FSOPEN, b"sysfs", _CLOEXEC)
    try:
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        return _call(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _call(*arguments: object) -> int:
    result: int = _libc.syscall(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
