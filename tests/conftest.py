# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from wirepath.bench.lab import RIGHT_ADDRESS, Lab, Wire
from wirepath.bench.namespace import privileged
from wirepath.bench.nic_wire import MTU, NicWire, NotPossibleError


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--opens", type=int, default=200, help="how often the leak cases open and close a capture")
    parser.addoption("--scale", type=float, default=1, help="0.1: where a case sends many packets, send a tenth")
    parser.addoption("--nic-pair", metavar="NEAR,FAR", help="two NICs that a cable joins, to be used instead of a veth")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "wire(queues, mtu, relay): what the wire of a test has to have")


def _need_privilege() -> None:
    if not privileged():
        pytest.skip("cannot run here: network namespaces need root (sudo make test), or: unshare -Urn make test")


@pytest.fixture
def scaled(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """scaled(count, least): how many packets --scale makes of `count`, so many that the case still proves something."""
    scale = request.config.getoption("--scale")
    if variant := getattr(request.node, "callspec", None) and request.node.callspec.params.get("variant"):
        scale = min(scale, variant.scale)
    return lambda count, least: max(least, int(count * scale))


@pytest.fixture(scope="session")
def nics(request: pytest.FixtureRequest) -> Iterator[NicWire | None]:
    """What --nic-pair names. One for all tests: a NIC takes seconds to have a carrier."""
    pair = request.config.getoption("--nic-pair")
    if pair is None:
        yield None
        return
    made = NicWire(*pair.split(","))
    yield made
    made.give_back()


def _usual_mtu() -> dict[str, int]:
    """A veth's is that of jumbo frames, where AF_XDP takes it: since Linux 6.6."""
    running = tuple(int(number) for number in os.uname().release.split(".")[:2])
    return {} if running >= (6, 6) else {"mtu": MTU}


@pytest.fixture
def wire(request: pytest.FixtureRequest, nics: NicWire | None) -> Iterator[Wire | NicWire]:
    """Two namespaces and a veth pair, or the NICs of --nic-pair: `near` sends, `far` is captured."""
    _need_privilege()
    asked = request.node.get_closest_marker("wire")
    wanted = asked.kwargs if asked else {}
    variant = getattr(request.node, "callspec", None) and request.node.callspec.params.get("variant")
    if variant is not None and variant.mtu is not None and "mtu" not in wanted:
        wanted = wanted | {"mtu": variant.mtu}  # of the engine under test
    if nics is None:
        with Wire(**_usual_mtu() | wanted) as made:
            yield made
        return
    try:
        nics.ready(mtu=wanted.get("mtu", MTU), tags_in_metadata=wanted.get("relay", False))
    except NotPossibleError as error:
        pytest.skip(f"cannot run here: {error}")
    yield nics


@pytest.fixture
def host(wire: Wire) -> Iterator[Wire]:
    """The wire, whose far end has an address. What a test adds there is taken back: a NIC outlives it."""
    wire.far.add_address(RIGHT_ADDRESS, 24)
    yield wire
    with wire.far.namespace.entered():
        for undo in (
            f"ip address flush dev {wire.far.name}",
            f"tc qdisc del dev {wire.far.name} clsact",
            "nft flush ruleset",
            "iptables-legacy -F",
            "ip link del br0",
        ):
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(undo.split(), check=False, capture_output=True)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Two hosts whose link is mirrored to a monitor port."""
    _need_privilege()
    with Lab() as made:
        yield made
