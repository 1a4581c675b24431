# SPDX-License-Identifier: Apache-2.0
"""Who polls the NIC's queues, and when (netdev napi-get and queue-get, sysfs)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from wirepath.linux.netlink import Attributes, attribute
from wirepath.linux.sysfs import number_in
from wirepath.nic.kernel import Kernel

__all__ = ["Napi", "NapiDefaults", "read_napi", "read_napi_defaults"]

_QUEUE_GET, _NAPI_GET = 10, 11
_QUEUE_ID, _QUEUE_IFINDEX, _QUEUE_TYPE, _QUEUE_NAPI = 1, 2, 3, 4
_IFINDEX, _ID, _IRQ, _PID, _DEFER, _FLUSH, _SUSPEND, _THREADED = 1, 2, 3, 4, 5, 6, 7, 8
_THREADED_WORDS = {0: "off", 1: "on", 2: "busy-poll"}


@dataclass(frozen=True)
class Napi:
    """One NAPI instance: a poll function, the queues that it serves and the interrupt that starts it."""

    id: int
    irq: int | None
    """None: the driver has not tied one to it."""
    pid: int | None
    """Of the kernel thread that polls; None: it polls in softirq."""
    threaded: str | None
    """``off``, ``on``, ``busy-poll``; None: the kernel does not say it of one instance (before 6.17)."""
    defer_hard_irqs: int | None
    """Empty polls before the interrupt is enabled again; None: the kernel tells it only of the device."""
    gro_flush_timeout_ns: int | None
    """After which time it polls again while the interrupt is deferred."""
    irq_suspend_timeout_ns: int | None
    """For how long an application that polls may keep the interrupt away."""
    rx_queues: tuple[int, ...]
    tx_queues: tuple[int, ...]


@dataclass(frozen=True)
class NapiDefaults:
    """What the device's instances have unless they were set one by one."""

    threaded: str | None
    defer_hard_irqs: int | None
    gro_flush_timeout_ns: int | None


def read_napi(kernel: Kernel, ifindex: int) -> tuple[Napi, ...]:
    """The instances, in the order of their first queue, from 6.8 on.

    Only those are told that the driver has tied to the device, and only while it is up. Raises OSError.
    """
    queues = _queues(kernel, ifindex)
    asked = attribute(_IFINDEX, ifindex)
    found = [_napi(told, queues) for told in kernel.netdev.dump(_NAPI_GET, asked)]
    return tuple(sorted(found, key=lambda napi: (napi.rx_queues or napi.tx_queues or (1 << 32,), not napi.rx_queues)))


def _queues(kernel: Kernel, ifindex: int) -> dict[tuple[int, int], list[int]]:
    """The queues by their NAPI instance and type."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for told in kernel.netdev.dump(_QUEUE_GET, attribute(_QUEUE_IFINDEX, ifindex)):
        napi, kind, queue = told.number(_QUEUE_NAPI), told.number(_QUEUE_TYPE), told.number(_QUEUE_ID)
        if napi is not None and kind is not None and queue is not None:
            found[napi, kind].append(queue)
    return found


def _napi(told: Attributes, queues: dict[tuple[int, int], list[int]]) -> Napi:
    number = told.number(_ID) or 0
    threaded = told.number(_THREADED)
    return Napi(
        id=number,
        irq=told.number(_IRQ),
        pid=told.number(_PID),
        threaded=None if threaded is None else _THREADED_WORDS.get(threaded, str(threaded)),
        defer_hard_irqs=told.number(_DEFER),
        gro_flush_timeout_ns=told.number(_FLUSH),
        irq_suspend_timeout_ns=told.number(_SUSPEND),
        rx_queues=tuple(sorted(queues.get((number, 0), ()))),
        tx_queues=tuple(sorted(queues.get((number, 1), ()))),
    )


def read_napi_defaults(sysfs: Path) -> NapiDefaults:
    """From sysfs. What a kernel does not have there is None."""
    threaded = number_in(sysfs / "threaded")
    return NapiDefaults(
        None if threaded is None else _THREADED_WORDS.get(threaded, str(threaded)),
        number_in(sysfs / "napi_defer_hard_irqs"),
        number_in(sysfs / "gro_flush_timeout"),
    )
