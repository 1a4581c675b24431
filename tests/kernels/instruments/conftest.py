# SPDX-License-Identifier: Apache-2.0
"""What the instruments' tests share: the guest's kernel, and its pair of NICs in one namespace or in two.

`wire` (tests/conftest.py) is the pair in a namespace each, `nic_pair` is the pair in this one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wirepath.bench.lab import Wire
from wirepath.bench.link import Link, veth
from wirepath.bench.namespace import Namespace
from wirepath.bench.nic_wire import NicWire


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nic(*drivers): it is about these drivers, as ethtool -i names them")
    config.addinivalue_line("markers", "since(kernel): it is about what this kernel, e.g. 6.12, brought")
    config.addinivalue_line("markers", "full: not in the short form")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """DPDK starts once in a process, and a NIC of its own on a uio driver has to be there from the start."""
    items.sort(key=lambda item: item.path.name != "test_dpdk.py")


@pytest.fixture(scope="session")
def kernel_version() -> tuple[int, int]:
    """(6, 12): of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


@pytest.fixture(scope="session")
def driver(nics: NicWire | None) -> str:
    """Of the pair, as ethtool -i names it: e1000, e1000e, igb, virtio_net, vmxnet3, veth."""
    return nics.driver if nics is not None else Wire.driver


@pytest.fixture(autouse=True)
def _can_run_here(request: pytest.FixtureRequest, driver: str, kernel_version: tuple[int, int]) -> None:
    about = request.node.get_closest_marker("nic")
    if about is not None and driver not in about.args:
        pytest.skip(f"cannot run here: it is about {', '.join(about.args)}, not about {driver}")
    since = request.node.get_closest_marker("since")
    if since is not None and kernel_version < tuple(int(part) for part in since.args[0].split(".")):
        pytest.skip(f"cannot run here: it is about Linux {since.args[0]} and later")


@pytest.fixture
def nic_pair(nics: NicWire | None) -> Iterator[tuple[str, str]]:
    """The names of two joined interfaces of this namespace, plain, up, with a carrier; the first one sends."""
    if nics is not None:
        yield nics.ready_at_home()
        return
    with Namespace.at("/proc/thread-self/ns/net", "home") as home:
        near, far = Link(home, "veth0"), Link(home, "veth1")
        veth(near, far)
        yield near.name, far.name
        near.delete()
