# SPDX-License-Identifier: Apache-2.0
"""What the tests of the lab share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wirepath.bench.frames import Sender
from wirepath.bench.lab import Wire


@pytest.fixture
def sender(wire: Wire) -> Iterator[Sender]:
    with Sender(wire.near) as made:
        yield made
