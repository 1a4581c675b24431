# SPDX-License-Identifier: Apache-2.0
"""One suite over every engine that can send, as tests/contract is one over those that capture.

A case is a test function that asks for `outlet`: an engine at the near end of a wire, whose far end is captured.
"""

from __future__ import annotations

import pytest

import pf_ring_double
import wirepath as wp
from senders.outlet import Outlet
from senders.variants import Variant, variants
from wirepath.bench.lab import Wire


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "outlet" in metafunc.fixturenames:
        metafunc.parametrize("variant", variants(), ids=lambda variant: variant.name.replace(" ", "-"))


@pytest.fixture
def outlet(variant: Variant, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Outlet:
    if variant.engine == "pf_ring":  # over a double of libpfring
        for name, value in pf_ring_double.environment().items():
            monkeypatch.setenv(name, value)
    engine = next(engine for engine in wp.engines() if engine.name == variant.engine)
    if not engine.usable:
        pytest.skip(f"cannot run here: {engine.reason}")
    wire: Wire = request.getfixturevalue("wire")
    return Outlet(variant, wire)
