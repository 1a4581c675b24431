# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wirepath.bench.lab import Lab, Wire
from wirepath.bench.namespace import privileged


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--opens", type=int, default=200, help="how often the leak cases open and close a capture")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "wire(queues, mtu, relay): what the wire of a test has to have")


def _need_privilege() -> None:
    if not privileged():
        pytest.skip("cannot run here: network namespaces need root (sudo make test), or: unshare -Urn make test")


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """Two namespaces and a veth pair: `near` sends, `far` is captured."""
    _need_privilege()
    asked = request.node.get_closest_marker("wire")
    with Wire(**asked.kwargs if asked else {}) as made:
        yield made


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Two hosts whose link is mirrored to a monitor port."""
    _need_privilege()
    with Lab() as made:
        yield made
