# SPDX-License-Identifier: Apache-2.0
"""Two interfaces that are joined: what one sends, the other receives."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wirepath.errors import NotFoundError, OptionError, WirepathError, error
from wirepath.linux import netns

__all__ = ["Endpoint", "Pair"]

_SIOCETHTOOL, _SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8946, 0x8913, 0x8914
_ETHTOOL_GDRVINFO, _DRVINFO_BYTES = 0x3, 196
_DRIVER_AND_BUS = 4, 100  # where they are in struct ethtool_drvinfo
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_PATIENCE_S = 15.0  # for a carrier


@dataclass(frozen=True)
class Endpoint:
    """An interface by its name and network namespace (None: that of this process)."""

    name: str
    netns: str | None = None

    def at(self) -> tuple[int, int]:
        """(inode of its namespace, ifindex): its identity in the whole kernel. Raises NotFoundError."""
        with netns.inside(self.netns):
            try:
                return Path("/proc/thread-self/ns/net").stat().st_ino, socket.if_nametoindex(self.name)
            except OSError:
                raise error(NotFoundError, f"there is no interface {self.name}", "`ip link` lists them") from None

    def driver(self) -> str:
        """As `ethtool -i` says it; empty: it does not say."""
        return self._driver_info()[0]

    def is_device(self) -> bool:
        """Whether there is a device behind it: something that interrupts and writes to memory."""
        return self._device() is not None

    def irqs(self) -> set[int] | None:
        """The numbers of its device's interrupts; None: it has no device, or none on a bus that tells them."""
        device = self._device()
        if device is None:
            return None
        if (vectors := device / "msi_irqs").is_dir():
            return {int(vector.name) for vector in vectors.iterdir()}
        if (irq := device / "irq").is_file() and (number := int(irq.read_text())) > 0:
            return {number}
        return None

    def _device(self) -> Path | None:
        """Its directory below /sys/bus. Virtual interfaces name a bus, too: ``tap``, ``N/A``."""
        bus = self._driver_info()[1]
        return next((place for place in Path("/sys/bus").glob("*/devices/*") if bus and place.name == bus), None)

    def _driver_info(self) -> tuple[str, str]:
        """(driver, place on its bus)."""
        data = array.array("B", struct.pack("I", _ETHTOOL_GDRVINFO).ljust(_DRVINFO_BYTES, b"\0"))
        address, _ = data.buffer_info()
        with contextlib.suppress(OSError):
            self._ioctl(_SIOCETHTOOL, struct.pack("P", address))
        driver, bus = (data[at : at + 32].tobytes().split(b"\0")[0].decode(errors="replace") for at in _DRIVER_AND_BUS)
        return driver, bus

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """It is up until the end of the block, and then what it was before. Raises WirepathError."""
        flags = self._flags()
        if not flags & _IFF_UP:
            self._set_flags(flags | _IFF_UP)
        try:
            self.wait_for_carrier()
            yield
        finally:
            if not flags & _IFF_UP:
                with contextlib.suppress(OSError):
                    self._set_flags(self._flags() & ~_IFF_UP)

    def wait_for_carrier(self) -> None:
        """Raises WirepathError if none comes."""
        until = time.monotonic() + _PATIENCE_S
        while not self._flags() & _IFF_RUNNING:
            if time.monotonic() > until:
                raise error(WirepathError, f"{self.name} has no carrier", "Is it joined to the other interface?")
            time.sleep(0.05)

    def _flags(self) -> int:
        return int(struct.unpack_from("H", self._ioctl(_SIOCGIFFLAGS, b""))[0])

    def _set_flags(self, flags: int) -> None:
        self._ioctl(_SIOCSIFFLAGS, struct.pack("H", flags))

    def _ioctl(self, request: int, argument: bytes) -> bytes:
        with netns.inside(self.netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            given = struct.pack("16s24s", os.fsencode(self.name), argument)
            return fcntl.ioctl(control, request, given)[16:]


@dataclass(frozen=True)
class Pair:
    """What `sender` sends, `receiver` receives."""

    sender: Endpoint
    receiver: Endpoint

    @classmethod
    def named(cls, text: str) -> Pair:
        """From A,B: A sends, B receives. Raises OptionError, NotFoundError."""
        names = text.split(",")
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            raise error(OptionError, f"'{text}' is not a pair of interfaces", "Name two: the sender, the receiver")
        pair = cls(*(Endpoint(name) for name in names))
        for end in (pair.sender, pair.receiver):
            end.at()
        return pair
