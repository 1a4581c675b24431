# SPDX-License-Identifier: Apache-2.0
"""A wire between two NICs of this machine that a cable joins, or an emulator."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from wirepath.bench.lab import Sent
from wirepath.bench.link import Link
from wirepath.bench.namespace import Namespace

MTU = 1500  # bytes; what every NIC has room for
SMALLEST_FRAME = 60  # bytes on Ethernet, without the check sum: senders fill shorter ones up
_LAZY = ("e1000", "e1000e")  # drivers that read the NIC's counters every other second only, unless ethtool asks
_ARRIVES_S = {"e1000": 1.2}
_REPEATS_MISSED = ("e1000",)  # QEMU's: the register is not cleared by being read, and the driver adds it each time
_PATIENCE_S = 20.0  # for a NIC that comes home
_UNDERWAY = 128  # frames: half of a usual receive ring. What finds it full, an emulator drops without a word.


def arrival_s(driver: str) -> float:
    """In how many seconds what was sent has arrived.

    QEMU's e1000 holds frames back for a second after its receive control was written, as promiscuity does.
    """
    return _ARRIVES_S.get(driver, 0.1)


class NotPossibleError(Exception):
    """A NIC or its driver cannot be set so."""


class NicWire:
    """A `Wire` whose ends are NICs: borrowed for a namespace each, where they are gen0 and mon0, and given back.

    `ready()` is called before each use: whatever was done to the NICs since is repaired.
    """

    smallest = SMALLEST_FRAME
    burst: int | None = _UNDERWAY

    def __init__(self, near: str, far: str) -> None:
        """Takes the two interfaces of the calling thread's namespace. Raises LookupError if one is not there."""
        self._home = Namespace.at("/proc/thread-self/ns/net", "home")
        self._near, self._far = _Borrowed(self._home, near, "gen0"), _Borrowed(self._home, far, "mon0")
        self.queues = Link(self._home, far).receive_queues()
        self.driver = Link(self._home, far).driver

    @property
    def near(self) -> Link:
        """The end that sends."""
        return self._near.link

    @property
    def far(self) -> Link:
        """The end that is captured."""
        return self._far.link

    def ready(self, *, mtu: int = MTU, tags_in_metadata: bool = False) -> Self:
        """Both ends are in a namespace of their own, up, plain, and joined. Raises TimeoutError if they do not get so.

        With `tags_in_metadata` the far NIC takes VLAN tags out of the bytes. Raises NotPossibleError where a driver
        cannot be set so.
        """
        for end in (self._near, self._far):
            end.take()
            end.be_plain(mtu, tags_in_metadata)
        self.settle()
        return self

    def ready_at_home(self) -> tuple[str, str]:
        """The same where they were at first, in one namespace. Their names, the sending one first."""
        for end in (self._near, self._far):
            end.go_home()
            end.link.set(state="up")
            end.be_plain(MTU, tags_in_metadata=False)
        self.settle()
        return self.near.name, self.far.name

    def settle(self) -> None:
        """Until both have a carrier."""
        for end in (self.near, self.far):
            if not end.carries():
                end.wait_until_it_sends()

    def flush(self) -> None:
        """Until nothing is underway, nor what nobody counts, since the far NIC is to pass it over."""
        self.settle()
        time.sleep(arrival_s(self.driver))

    def sent(self) -> Sent:
        """`sent` is what the near NIC counts. Some drivers (igb) count nothing anew while the link is down."""
        self.settle()
        for end in (self.near, self.far):
            if self.driver in _LAZY:
                end.refresh_counters()
        near, far = self.near.counters(), self.far.counters()
        missed = 0 if self.driver in _REPEATS_MISSED else far.rx_missed
        return Sent(near.tx_packets + near.tx_dropped, far.rx_packets, near.tx_dropped, 0, missed)

    def unplug(self) -> None:
        """Takes the driver off the far NIC: its interface is gone."""
        self._far.unbind()

    def far_came_free(self) -> bool:
        """Whether the far interface's namespace, which was let go of, is gone, and the interface out of it."""
        return self._far.is_home()

    def close(self) -> None:
        """Lets go of the namespaces: the NICs come home, in the kernel's own time."""
        for end in (self._near, self._far):
            end.link.namespace.close()

    def give_back(self) -> None:
        """The NICs are home again, under their own names. Raises TimeoutError if they do not get there."""
        for end in (self._near, self._far):
            end.go_home()
        self._home.close()


class _Borrowed:
    """One NIC. It is known by its address: what else it has changes."""

    def __init__(self, home: Namespace, name: str, lab_name: str) -> None:
        self._home, self._name, self._lab_name = home, name, lab_name
        self._mac = Link(home, name).mac
        self._device = Path("/sys/class/net", name, "device").resolve()
        self._driver = (self._device / "driver").resolve()
        self.link = Link(home, name)

    def take(self) -> None:
        """It is in a namespace of its own, under the lab's name, and up."""
        if not self._is_taken():
            self.go_home()
            self.link = Link(Namespace(self._lab_name), self._lab_name)
            Link(self._home, self._name).set(net_ns_fd=self.link.namespace.path, ifname=self._lab_name)
        self.link.set(state="up")

    def be_plain(self, mtu: int, tags_in_metadata: bool) -> None:
        """Frames come as they are on the wire. What is set already is let be: setting it may reset the link."""
        self.link.plain()
        for feature, on in (("lro", False), ("rxvlan", tags_in_metadata)):
            if self.link.has_offload(feature) != on:
                self._set_offload(feature, on)
        if int(self.link.message().get_attr("IFLA_MTU")) != mtu:
            self._set_mtu(mtu)

    def _set_offload(self, feature: str, on: bool) -> None:
        with contextlib.suppress(OSError):
            self.link.offload(**{feature: on})
        if self.link.has_offload(feature) != on:
            raise NotPossibleError(f"{self.link.driver} does not turn {feature} {'on' if on else 'off'}")

    def _set_mtu(self, mtu: int) -> None:
        from pyroute2 import NetlinkError

        try:
            self.link.set(mtu=mtu)
        except NetlinkError as error:
            raise NotPossibleError(f"{self.link.driver} takes no MTU of {mtu}") from error

    def _is_taken(self) -> bool:
        if self.link.namespace is self._home:
            return False
        with contextlib.suppress(LookupError, OSError):
            return self.link.mac == self._mac
        return False

    def is_home(self) -> bool:
        """Whether its interface is where it was at first, whatever it is called."""
        return self._name_at_home() is not None

    def _name_at_home(self) -> str | None:
        return _name_by_mac(self._home, self._mac)

    def go_home(self) -> None:
        """It is where it was at first, down, under its own name."""
        if self.link.namespace is self._home and self.is_home():
            return
        if self.link.namespace is not self._home:
            self._leave()
        if not (self._device / "driver").exists():
            (self._driver / "bind").write_text(self._device.name, encoding="ascii")
        _wait_until(self.is_home, f"{self._name} does not come back")
        name = self._name_at_home()
        if name is not None and name != self._name:
            Link(self._home, name).set(state="down")
            Link(self._home, name).set(ifname=self._name)
        self.link = Link(self._home, self._name)

    def _leave(self) -> None:
        with contextlib.suppress(OSError):  # a namespace that was let go of
            name = _name_by_mac(self.link.namespace, self._mac)
            if name is not None:
                Link(self.link.namespace, name).set(net_ns_fd=self._home.path, ifname=self._name)
        self.link.namespace.close()

    def unbind(self) -> None:
        """Takes its driver off it."""
        (self._driver / "unbind").write_text(self._device.name, encoding="ascii")


def _name_by_mac(namespace: Namespace, mac: bytes) -> str | None:
    with namespace.routes() as routes:
        for link in routes.get_links():
            if link.get_attr("IFLA_ADDRESS") == mac.hex(":"):
                return str(link.get_attr("IFLA_IFNAME"))
    return None


def _wait_until(true: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(0.01)
