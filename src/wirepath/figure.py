# SPDX-License-Identifier: Apache-2.0
"""A number with how it was obtained: what was measured here and what was not are never mixed without saying so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Figure", "How"]

How = Literal["measured", "inferred", "reference", "unknown"]


@dataclass(frozen=True)
class Figure:
    """A value, and whether it was measured here and now.

    ``measured``: observed on this host, now. ``inferred``: follows from something that was; ``detail`` says from what.
    ``reference``: measured elsewhere; ``detail`` says on which kernel and NIC, and when. ``unknown``: ``value`` is None
    and ``detail`` says why.
    """

    value: float | None
    how: How
    detail: str = ""

    def __post_init__(self) -> None:
        """Refuse a value that nobody knows, and a known one without a value."""
        if (self.value is None) != (self.how == "unknown"):
            raise ValueError(f"a figure that is {self.how} cannot have the value {self.value}")

    def as_object(self) -> dict[str, Any]:
        """As JSON says it."""
        return {"value": self.value, "how": self.how, "detail": self.detail}

    def __str__(self) -> str:
        """The value with a mark: nothing for measured, ~ inferred, * reference, ? unknown."""
        if self.value is None:
            return "?"
        mark = {"measured": "", "inferred": "~", "reference": "*"}[self.how]
        return f"{self.value:.10g}{mark}"
