# SPDX-License-Identifier: Apache-2.0
"""One network interface of the lab: what it is set to, and what it counts."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wirepath.bench.namespace import Namespace

_SIOCETHTOOL = 0x8946
_UP_AND_JOINED = 0x40 | 0x10000  # IFF_RUNNING, which may lag by a second, and IFF_LOWER_UP
# linux/ethtool.h: the commands that set one offload each
_SET_OFFLOAD = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}
_GET_GRO, _GET_FLAGS, _SET_FLAGS = 0x2B, 0x25, 0x26
_GET_DRIVER, _GET_STATISTICS, _GET_CHANNELS = 0x03, 0x1D, 0x3C
_DRIVER_BYTES, _AT_DRIVER, _AT_STATISTICS = 196, 4, 180  # struct ethtool_drvinfo
_FLAGS = {"txvlan": 1 << 7, "rxvlan": 1 << 8, "lro": 1 << 15}
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h; the places are those in struct rtnl_link_stats64
_NLM_F_REQUEST, _NLMSG_ERROR, _RTM_GETLINK, _RTM_GETSTATS, _LINK_64 = 1, 2, 18, 94, 1
_RX_FIFO, _RX_MISSED = 14, 15
_XDP_NATIVE, _XDP_MULTIPLE = 1, 4  # linux/if_link.h, XDP_ATTACHED_DRV and _MULTI


@dataclass(frozen=True)
class LinkCounters:
    """What the kernel counts of an interface, in packets."""

    rx_packets: int
    tx_packets: int
    rx_dropped: int
    tx_dropped: int
    rx_missed: int  # that a NIC had no room for: rx_missed_errors and rx_fifo_errors


@dataclass(frozen=True)
class Link:
    """An interface by its namespace and name."""

    namespace: Namespace
    name: str

    def message(self) -> Any:
        """What rtnetlink says of it. Raises LookupError when it is gone."""
        with self.namespace.routes() as routes:
            found = [link for link in routes.get_links() if link.get_attr("IFLA_IFNAME") == self.name]
        if not found:
            raise LookupError(f"no interface {self.name} in {self.namespace.name}")
        return found[0]

    @property
    def index(self) -> int:
        """The number that it has in its namespace."""
        return int(self.message()["index"])

    @property
    def exists(self) -> bool:
        """Whether its namespace has it."""
        try:
            self.message()
        except LookupError:
            return False
        return True

    @property
    def mac(self) -> bytes:
        """Its Ethernet address, 6 bytes."""
        return bytes.fromhex(self.message().get_attr("IFLA_ADDRESS").replace(":", ""))

    def set(self, **what: Any) -> None:
        """Does `ip link set` of state, mtu, ifname or what else pyroute2 knows."""
        index = self.index
        with self.namespace.routes() as routes:
            routes.link("set", index=index, **what)

    def delete(self) -> None:
        """Removes it, and the other end of a pair with it."""
        index = self.index
        with self.namespace.routes() as routes:
            routes.link("del", index=index)

    def add_address(self, address: str, prefix: int) -> None:
        """Gives it an IPv4 address."""
        index = self.index
        with self.namespace.routes() as routes:
            routes.addr("add", index=index, address=address, prefixlen=prefix)

    def offload(self, **wanted: bool) -> None:
        """`ethtool -K`: rx, tx, sg, tso, gso, gro, txvlan, rxvlan, lro."""
        for feature, on in wanted.items():
            if feature in _SET_OFFLOAD:
                # What cannot be changed is refused even if it is as wanted. Each command to read is one below.
                if bool(self._ethtool(_SET_OFFLOAD[feature] - 1, 0)) is not on:
                    self._ethtool(_SET_OFFLOAD[feature], int(on))
            else:
                flags = self._ethtool(_GET_FLAGS, 0)
                self._ethtool(_SET_FLAGS, flags | _FLAGS[feature] if on else flags & ~_FLAGS[feature])

    def has_offload(self, feature: str) -> bool:
        """Whether txvlan, rxvlan or lro is on."""
        return bool(self._ethtool(_GET_FLAGS, 0) & _FLAGS[feature])

    @property
    def driver(self) -> str:
        """The name of its driver."""
        return self._driver_info()[_AT_DRIVER:].split(b"\0")[0].decode()

    def plain(self) -> None:
        """Every frame is sent and received as it is on the wire: no merging, no splitting, checksums filled in."""
        self.offload(tso=False, gso=False, gro=False, tx=False)

    def polls(self) -> bool:
        """Whether a veth receives through NAPI, as it does with GRO or a native XDP program, or through the backlog."""
        xdp = self.message().get_attr("IFLA_XDP")
        mode = xdp.get_attr("IFLA_XDP_ATTACHED") if xdp is not None else 0
        return mode in (_XDP_NATIVE, _XDP_MULTIPLE) or bool(self._ethtool(_GET_GRO, 0))

    def wait_until_it_sends(self, patience_s: float = 20) -> None:
        """Until the kernel, in its own time, has given an interface with a carrier its queue.

        Before, it drops what is sent without a word. Raises TimeoutError.
        """
        until = time.monotonic() + patience_s
        while not self.carries() or self.message().get_attr("IFLA_QDISC") == "noop":
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} does not come up")
            time.sleep(0.002)

    def carries(self) -> bool:
        """Whether it has a carrier, and the kernel has taken note of it."""
        answer = _ask(self, _RTM_GETLINK, lambda index: struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, 0, 0))
        (flags,) = struct.unpack_from("I", answer, 16 + 8)
        return bool(flags & _UP_AND_JOINED == _UP_AND_JOINED)

    def has_xdp(self) -> bool:
        """Whether an XDP program is attached."""
        xdp = self.message().get_attr("IFLA_XDP")
        return xdp is not None and bool(xdp.get_attr("IFLA_XDP_ATTACHED"))

    def promiscuity(self) -> int:
        """How many users keep it promiscuous."""
        return int(self.message().get_attr("IFLA_PROMISCUITY"))

    def receive_queues(self) -> int:
        """How many it receives with (ethtool -l). A driver that does not say has one: those with several all do."""
        try:
            channels = self._ioctl(array.array("I", [_GET_CHANNELS, *([0] * 8)]))
        except OSError:
            return 1
        return channels[5] + channels[8]  # those for receiving only, and those for both

    def counters(self) -> LinkCounters:
        """Reads what it has counted."""
        request = struct.Struct("BxHII")
        answer = _ask(self, _RTM_GETSTATS, lambda index: request.pack(socket.AF_UNSPEC, 0, index, _LINK_64))
        stats = struct.unpack_from(f"{_RX_MISSED + 1}Q", answer, 16 + request.size + 4)
        return LinkCounters(stats[0], stats[1], stats[6], stats[7], stats[_RX_FIFO] + stats[_RX_MISSED])

    def refresh_counters(self) -> None:
        """Has the driver ask the NIC now: some do so every other second only, unless ethtool asks (e1000)."""
        (count,) = struct.unpack_from("I", self._driver_info(), _AT_STATISTICS)
        if count:
            self._ioctl(array.array("I", [_GET_STATISTICS, count, *([0] * (2 * count))]))

    def _driver_info(self) -> bytes:
        return self._ioctl(array.array("I", [_GET_DRIVER, *([0] * (_DRIVER_BYTES // 4 - 1))])).tobytes()

    def _ethtool(self, command: int, value: int) -> int:
        return int(self._ioctl(array.array("I", [command, value]))[1])

    def _ioctl(self, data: array.array[int]) -> array.array[int]:
        address, _ = data.buffer_info()
        with self.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            try:
                fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", os.fsencode(self.name), address))
            except OSError as error:
                error.add_note(f"ethtool command {data[0]:#x} on {self.name}")
                raise
        return data


# By hand: this is asked again and again while packets are on their way, and pyroute2 takes thirty times as long.
def _ask(link: Link, what: int, body_for: Callable[[int], bytes]) -> bytes:
    with link.namespace.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as routes:
        try:
            body = body_for(socket.if_nametoindex(link.name))
        except OSError as error:
            raise LookupError(f"no interface {link.name} in {link.namespace.name}") from error
        routes.send(struct.pack("IHHII", 16 + len(body), what, _NLM_F_REQUEST, 0, 0) + body)
        answer = routes.recv(65536)
    if struct.unpack_from("H", answer, 4)[0] == _NLMSG_ERROR:
        raise LookupError(f"nothing is known of {link.name} in {link.namespace.name}")
    return answer


def veth(near: Link, far: Link, *, queues: int = 1, mtu: int = 1500) -> None:
    """Makes the pair, plain, both ends up."""
    ends: dict[str, Any] = {"num_tx_queues": queues, "num_rx_queues": queues, "mtu": mtu}
    with near.namespace.routes() as routes, far.namespace.entered():
        peer = {"ifname": far.name, "net_ns_fd": far.namespace.path, **ends}
        routes.link("add", ifname=near.name, kind="veth", peer=peer, **ends)
    for end in (near, far):
        end.plain()
        end.set(state="up")
    for end in (near, far):
        end.wait_until_it_sends()
