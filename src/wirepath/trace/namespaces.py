# SPDX-License-Identifier: Apache-2.0
"""Which network namespace an inode number is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["NamespaceNames"]


class NamespaceNames:
    """Names of network namespaces as ip-netns(8) gives them, looked up when a new number comes."""

    def __init__(self) -> None:
        self.own = Path("/proc/self/ns/net").stat().st_ino
        self._names: dict[int, str] = {self.own: "", 0: ""}

    def of(self, inode: int) -> str:
        """Its name; its number, if it has none; empty: this process's own."""
        if inode not in self._names:
            self._names |= {inode: str(inode)} | _named()
            self._names[self.own] = ""
        return self._names[inode]


def _named() -> dict[int, str]:
    names = {}
    for entry in Path("/run/netns").glob("*"):
        try:
            names[entry.stat().st_ino] = entry.name
        except OSError:  # it has just gone, or is not ours to see
            continue
    return names
