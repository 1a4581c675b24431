# SPDX-License-Identifier: Apache-2.0
"""What the stages' makers share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wirepath.path.branches import branches_at, copies_at
from wirepath.path.counters import Counter
from wirepath.path.seen import Seen
from wirepath.path.stage import Context, Fact, Stage

__all__ = ["count", "facts", "made", "size", "some"]

_SOME = 4


def made(
    seen: Seen,
    name: str,
    title: str,
    context: Context,
    configured: Sequence[Fact],
    *,
    reads: str,
    writes: str,
    command: str,
    counters: Sequence[Counter] = (),
    idle: bool = False,
) -> Stage:
    """A stage with its engines and copies from the tables."""
    return Stage(
        name=name,
        title=title,
        context=context,
        idle=idle,
        facts=tuple(configured),
        reads=reads,
        writes=writes,
        command=command,
        counters=tuple(counters),
        copies=copies_at(name, seen.driver, seen.copies),
        branches=branches_at(name, seen.ways),
    )


def facts(*pairs: tuple[str, str | None]) -> list[Fact]:
    """Those that are known and say something."""
    return [Fact(name, text) for name, text in pairs if text]


def some(items: Iterable[str], most: int = _SOME) -> str:
    """The first few, and how many more there are."""
    all_ = list(items)
    more = f", … and {len(all_) - most} more" if len(all_) > most else ""
    return ", ".join(all_[:most]) + more


def count(number: int, what: str, many: str = "") -> str:
    """`1 filter`, `2 filters`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def size(number: int) -> str:
    """In bytes, KiB or MiB."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024 or unit == "MiB":
            return f"{number:.0f} {unit}"
        number //= 1024
    return ""
