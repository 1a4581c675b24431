# SPDX-License-Identifier: Apache-2.0
"""All counters of a network namespace in one go."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable

from wirepath.errors import NotFoundError, error
from wirepath.nic.kernel import Kernel
from wirepath.path.counters.counter import Counter
from wirepath.path.counters.link import read_link_losses
from wirepath.path.counters.netfilter import read_netfilter_losses
from wirepath.path.counters.protocol import read_protocol_losses
from wirepath.path.counters.softnet import read_softnet_losses
from wirepath.path.counters.tc import read_tc_losses

__all__ = ["index_of", "read_counters"]


def index_of(name: str) -> int:
    """Of an interface in the calling thread's namespace.

    Raises:
        NotFoundError: there is none of this name.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError:
        there = ", ".join(known for _, known in socket.if_nameindex())
        raise error(NotFoundError, f"there is no interface {name}", f"There are: {there}") from None


def read_counters(interfaces: Iterable[str]) -> tuple[list[Counter], dict[str, str]]:
    """Of these interfaces and of the namespace that the calling thread is in; sockets' apart (`path.sockets`).

    The second: what could not be read, and why, by its name.
    """
    found: list[Counter] = []
    missing: dict[str, str] = {}

    def add(what: str, read: Callable[[], list[Counter]]) -> None:
        try:
            found.extend(read())
        except OSError as refused:
            if refused.errno != errno.ENODEV:  # an interface that has just gone has nothing to tell
                missing[what] = refused.strerror or str(refused)

    with Kernel() as kernel:
        for name in interfaces:
            try:
                index = socket.if_nametoindex(name)
            except OSError:
                continue
            add(f"counters of {name}", lambda name=name: read_link_losses(kernel, name))  # type: ignore[misc]
            add(f"tc at {name}", lambda name=name, index=index: read_tc_losses(kernel, name, index))  # type: ignore[misc]
    add("softnet", read_softnet_losses)
    add("netfilter", read_netfilter_losses)
    add("protocols", read_protocol_losses)
    return found, missing
