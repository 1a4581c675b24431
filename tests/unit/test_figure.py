# SPDX-License-Identifier: Apache-2.0
"""A figure says how it was obtained, and cannot be told otherwise."""

from __future__ import annotations

import pytest

from wirepath.figure import Figure


def test_a_mark_tells_where_it_is_from() -> None:
    assert [str(Figure(2, how)) for how in ("measured", "inferred", "reference")] == ["2", "2~", "2*"]
    assert str(Figure(None, "unknown", "no fentry")) == "?"
    assert str(Figure(0, "measured")) == "0"


def test_unknown_is_not_zero() -> None:
    with pytest.raises(ValueError, match="unknown"):
        Figure(0, "unknown")
    with pytest.raises(ValueError, match="measured"):
        Figure(None, "measured")
