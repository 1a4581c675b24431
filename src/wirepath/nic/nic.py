# SPDX-License-Identifier: Apache-2.0
"""Everything that decides how one interface receives, read in one go."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wirepath.errors import NotFoundError, error
from wirepath.figure import How
from wirepath.linux.netns import inside
from wirepath.nic.coalescing import Coalescing, read_coalescing
from wirepath.nic.counters import link_counters, read_driver_counters
from wirepath.nic.driver import Driver, read_driver
from wirepath.nic.irqs import Irq, named_for_queue, read_irqs
from wirepath.nic.kernel import OTHER_NAMESPACE, Kernel
from wirepath.nic.link import Link, LinkMessage, message_of, read_link
from wirepath.nic.napi import Napi, NapiDefaults, read_napi, read_napi_defaults
from wirepath.nic.offloads import Offload, read_offloads
from wirepath.nic.queues import Channels, QueueStats, Rings, read_channels, read_queue_stats, read_rings
from wirepath.nic.rss import Rss, read_rss
from wirepath.nic.softnet import SoftnetCpu, SoftnetLimits, read_softnet, read_softnet_limits
from wirepath.nic.speed import Speed, read_speed
from wirepath.nic.steering import QueueSteering, read_steering
from wirepath.nic.tc import TcFilter, read_filters, read_tcx
from wirepath.nic.timestamping import Timestamping, read_timestamping
from wirepath.nic.xdp import Program, XdpFeatures, attached_xdp, read_xdp_features

__all__ = ["Nic", "names", "read"]

_T = TypeVar("_T")

_DRIVER_HAS_NOT = "the driver does not have it, or does not tell"
_SINCE = {"xdp_features": "6.3", "napi": "6.8", "queue_stats": "6.10", "tcx": "6.6"}


@dataclass(frozen=True)
class Nic:
    """One interface as it is configured now. What is None was not told; ``missing`` says why, by the field's name."""

    name: str
    netns: str | None
    """As it was asked for; None: the caller's own."""
    link: Link
    driver: Driver | None
    speed: Speed | None
    channels: Channels | None
    rings: Rings | None
    rss: Rss | None
    offloads: Mapping[str, Offload] | None
    """By the kernel's names: ``rx-gro``, ``rx-lro``, …"""
    coalescing: Coalescing | None
    timestamping: Timestamping | None
    xdp_features: XdpFeatures | None
    xdp: tuple[Program, ...]
    """XDP programs that are attached."""
    tc: tuple[TcFilter, ...] | None
    """Filters at clsact or ingress."""
    tcx: tuple[Program, ...] | None
    napi: tuple[Napi, ...] | None
    napi_defaults: NapiDefaults | None
    irqs: tuple[Irq, ...] | None
    """Empty: the device has none of its own, as a veth."""
    queue_stats: tuple[QueueStats, ...] | None
    steering: tuple[QueueSteering, ...] | None
    softnet: tuple[SoftnetCpu, ...] | None
    softnet_limits: SoftnetLimits
    counters: Mapping[str, int]
    """By the names of struct rtnl_link_stats64. Cumulative."""
    driver_counters: Mapping[str, int] | None
    """As `ethtool -S` names them. Cumulative."""
    missing: Mapping[str, str]
    read_ns: int
    """When the counters were read, on the monotonic clock."""

    @property
    def receive_queues(self) -> int:
        """Receive queues in use."""
        if self.channels is not None:
            return self.channels.receiving
        return 1

    def napi_of(self, queue: int) -> tuple[Napi | None, How]:
        """The NAPI instance that polls a receive queue.

        Measured if the kernel ties them together. Else inferred where there are as many instances as receive queues:
        drivers make them in the order of their queues.
        """
        found = self.napi or ()
        told = next((row for row in found if queue in row.rx_queues), None)
        if told is not None:
            return told, "measured"
        if any(row.rx_queues or row.tx_queues for row in found) or len(found) != self.receive_queues:
            return None, "unknown"
        return sorted(found, key=lambda row: row.id)[queue], "inferred"

    def irq_of(self, queue: int) -> tuple[Irq | None, How]:
        """A receive queue's interrupt: measured if the kernel ties it to the queue's NAPI, inferred from its name."""
        irqs = self.irqs or ()
        napi, how = self.napi_of(queue)
        told = next((irq for irq in irqs if napi is not None and irq.number == napi.irq), None)
        if told is not None:
            return told, how
        named = irqs[0] if len(irqs) == 1 else named_for_queue(irqs, queue)
        return named, "unknown" if named is None else "inferred"


class _Reader:
    """Asks for one thing after the other, and notes why one could not be had."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def get(self, field: str, ask: Callable[[], _T]) -> _T | None:
        try:
            return ask()
        except OSError as refused:
            self.missing[field] = _why(field, refused)
            return None


def _why(field: str, refused: OSError) -> str:
    if refused.errno == errno.EOPNOTSUPP:
        return _since(field, _DRIVER_HAS_NOT)
    if refused.errno in (errno.EPERM, errno.EACCES):
        if refused.strerror != os.strerror(refused.errno):
            return str(refused.strerror)
        return f"needs {'CAP_NET_ADMIN' if field == 'tcx' else 'privilege'}: run with sudo"
    if field in _SINCE and refused.errno in (errno.ENOENT, errno.EINVAL):
        return f"this kernel ({os.uname().release}) does not tell it; Linux {_SINCE[field]} and later do"
    return refused.strerror or str(refused)


def _since(field: str, text: str) -> str:
    """The netdev family answers EOPNOTSUPP to a request that is newer than the kernel, too."""
    return f"{text}; kernels before {_SINCE[field]} never do" if field in _SINCE else text


def names(netns: str | None = None) -> list[str]:
    """The interfaces of a network namespace, by their index.

    Raises:
        NotFoundError: there is no such namespace.
        NoPermissionError: entering it needs CAP_SYS_ADMIN.
    """
    with inside(netns):
        return [name for _, name in sorted(socket.if_nameindex())]


def read(name: str, netns: str | None = None) -> Nic:
    """Everything that decides how an interface receives, as far as the kernel, the driver and our privilege tell.

    ``netns`` is a namespace's name (ip-netns(8)), path or process id. A part that cannot be had is None, with its
    reason in ``missing``. Most needs no privilege.

    Raises:
        NotFoundError: there is no such interface, or no such namespace.
        NoPermissionError: entering the namespace needs CAP_SYS_ADMIN.
    """
    with inside(netns), Kernel() as kernel:
        return _read(kernel, name, netns)


def _read(kernel: Kernel, name: str, netns: str | None) -> Nic:
    message = _message(kernel, name)
    index = message.ifindex
    link = read_link(kernel, message)
    reader = _Reader()
    get = reader.get
    sysfs = get("sysfs", lambda: kernel.sysfs(name))
    napi = get("napi", lambda: read_napi(kernel, index))
    # Some drivers (e1000) read the NIC's counters every other second only, unless they are asked for their own.
    driver_counters = get("driver_counters", lambda: read_driver_counters(kernel, name))
    read_ns, counters = time.monotonic_ns(), link_counters(_message(kernel, name).stats64)
    return Nic(
        name=name,
        netns=netns,
        link=link,
        driver=get("driver", lambda: read_driver(kernel, name, sysfs)),
        speed=get("speed", lambda: read_speed(kernel, index)),
        channels=get("channels", lambda: read_channels(kernel, index)),
        rings=get("rings", lambda: read_rings(kernel, index)),
        rss=get("rss", lambda: read_rss(kernel, name)),
        offloads=get("offloads", lambda: read_offloads(kernel, index)),
        coalescing=get("coalescing", lambda: read_coalescing(kernel, index)),
        timestamping=get("timestamping", lambda: read_timestamping(kernel, name, index)),
        xdp_features=get("xdp_features", lambda: read_xdp_features(kernel, index)),
        xdp=attached_xdp(message),
        tc=get("tc", lambda: read_filters(kernel, index)),
        tcx=get("tcx", lambda: read_tcx(index)),
        napi=napi,
        napi_defaults=get("napi_defaults", lambda: read_napi_defaults(_there(sysfs))),
        irqs=get("irqs", lambda: _irqs(link, sysfs, [row.irq for row in napi or () if row.irq is not None])),
        queue_stats=get("queue_stats", lambda: read_queue_stats(kernel, index)),
        steering=get("steering", lambda: read_steering(_there(sysfs))),
        softnet=get("softnet", read_softnet),
        softnet_limits=read_softnet_limits(),
        counters=counters,
        driver_counters=driver_counters,
        missing=reader.missing,
        read_ns=read_ns,
    )


def _message(kernel: Kernel, name: str) -> LinkMessage:
    try:
        return message_of(kernel.link(name)[1])
    except OSError as refused:
        if refused.errno not in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
            raise
        there = ", ".join(known for _, known in socket.if_nameindex())
        raise error(NotFoundError, f"there is no interface {name}", f"There are: {there}") from None


def _irqs(link: Link, sysfs: Path | None, told: Sequence[int]) -> tuple[Irq, ...]:
    return read_irqs(link.name, _there(sysfs) if link.physical and not told else sysfs, told)


def _there(sysfs: Path | None) -> Path:
    if sysfs is None:
        raise PermissionError(errno.EACCES, OTHER_NAMESPACE)
    return sysfs
