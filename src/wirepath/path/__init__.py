# SPDX-License-Identifier: Apache-2.0
"""The receive path: its stages from the wire to the application, and what each of them counts.

>>> from wirepath import path
>>> for stage in path.read("eth0").stages:
...     print(stage.title, stage.lost, [branch.name for branch in stage.branches])
"""

from typing import TYPE_CHECKING, Any

from wirepath.path.stage import Branch, Copy, Fact, Path, Stage

if TYPE_CHECKING:
    from wirepath.path.reading import PathReader, measured_copies, read

__all__ = ["Branch", "Copy", "Fact", "Path", "PathReader", "Stage", "measured_copies", "read"]


def __getattr__(name: str) -> Any:
    """`read` brings in all that asks the kernel: `wirepath.drops` needs only the counters."""
    if name in ("PathReader", "measured_copies", "read"):
        from wirepath.path import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
