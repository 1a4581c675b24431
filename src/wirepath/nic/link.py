# SPDX-License-Identifier: Apache-2.0
"""The interface itself: what it is, what it is tied to, what state it is in (rtnetlink, RTM_GETLINK)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wirepath.linux.netlink import Attributes, attribute, attributes
from wirepath.nic.kernel import Kernel

__all__ = ["Link", "LinkMessage", "message_of", "read_link"]

_IFINFO = struct.Struct("=BxHiII")
_ADDRESS, _IFNAME, _MTU, _LINK, _QDISC, _MASTER, _TXQLEN, _OPERSTATE, _LINKINFO = 1, 3, 4, 5, 6, 10, 13, 16, 18
_STATS64, _PROMISCUITY, _TX_QUEUES, _RX_QUEUES, _CARRIER, _LINK_NETNSID = 23, 30, 31, 32, 33, 37
_XDP, _MIN_MTU, _MAX_MTU, _GRO_MAX_SIZE = 43, 50, 51, 58
_INFO_KIND = 1
_RTM_GETNSID, _NETNSA_NSID, _NETNSA_FD = 90, 1, 3

_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
_HARDWARE = {1: "ether", 24: "ieee1394", 32: "infiniband", 512: "ppp", 772: "loopback", 776: "sit", 778: "gre"}
_HARDWARE |= {768: "ipip", 769: "tunnel6", 801: "ieee80211", 803: "radiotap", 65534: "none"}
_FLAGS = {0x1: "up", 0x2: "broadcast", 0x8: "loopback", 0x10: "pointtopoint", 0x40: "running", 0x80: "noarp"}
_FLAGS |= {0x100: "promisc", 0x200: "allmulti", 0x1000: "multicast", 0x10000: "lower_up"}


@dataclass(frozen=True)
class Link:
    """One network interface."""

    name: str
    ifindex: int
    hardware: str
    """``ether``, ``loopback``, ``none``, …: what its frames begin with."""
    kind: str
    """``veth``, ``bridge``, ``vlan``, …; empty for a device that a driver of hardware made."""
    mac: str
    """Empty: it has none."""
    mtu: int
    """Bytes, without the Ethernet header."""
    max_mtu: int | None
    operstate: str
    carrier: bool | None
    flags: tuple[str, ...]
    promiscuity: int
    """How many users have asked for promiscuous mode; packet sockets count here, not in ``flags``."""
    qdisc: str
    rx_queues: int | None
    """Receive queues that the device was made with: a bound, ``Nic.channels`` says how many are in use."""
    tx_queues: int | None
    tx_queue_len: int | None
    gro_max_size: int | None
    """Bytes that GRO merges into one packet at the most."""
    master: str | None
    """The bridge, bond or VRF that takes its packets."""
    peer: str | None
    """The other end of a veth, or the device below a vlan, macvlan or tunnel; None also if its namespace hides it."""
    peer_ifindex: int | None
    peer_netns: str | None
    """The peer's namespace by its name under /run/netns, else ``id N``; None: the same one as this interface's."""

    @property
    def up(self) -> bool:
        """Whether the administrator wants it up."""
        return "up" in self.flags

    @property
    def physical(self) -> bool:
        """Whether a driver of hardware, real or emulated, made it."""
        return not self.kind and self.hardware != "loopback"


@dataclass(frozen=True)
class LinkMessage:
    """What RTM_GETLINK answered, of which several readers take their part."""

    ifindex: int
    hardware: int
    flags: int
    attributes: Attributes

    @property
    def stats64(self) -> bytes:
        """The struct rtnl_link_stats64, as long as this kernel makes it."""
        return self.attributes.get(_STATS64, b"")

    @property
    def xdp(self) -> Attributes:
        """The nest that says which XDP programs are attached."""
        return self.attributes.nest(_XDP)


def message_of(answer: bytes) -> LinkMessage:
    """Take the message apart."""
    _, hardware, index, flags, _ = _IFINFO.unpack_from(answer)
    return LinkMessage(index, hardware, flags, attributes(answer[_IFINFO.size :]))


def read_link(kernel: Kernel, message: LinkMessage) -> Link:
    """The interface that the message describes."""
    told = message.attributes
    netns_id = told.number(_LINK_NETNSID, signed=True)
    peer_index = told.number(_LINK) or None
    if peer_index == message.ifindex and netns_id is None:
        peer_index = None
    master = told.number(_MASTER)
    operstate = told.number(_OPERSTATE) or 0
    return Link(
        name=told.text(_IFNAME) or "",
        ifindex=message.ifindex,
        hardware=_HARDWARE.get(message.hardware, str(message.hardware)),
        kind=told.nest(_LINKINFO).text(_INFO_KIND) or "",
        mac=told.get(_ADDRESS, b"").hex(":"),
        mtu=told.number(_MTU) or 0,
        max_mtu=told.number(_MAX_MTU) or None,
        operstate=_OPERSTATES[operstate] if operstate < len(_OPERSTATES) else str(operstate),
        carrier=told.flag(_CARRIER),
        flags=_words(message.flags, _FLAGS),
        promiscuity=told.number(_PROMISCUITY) or 0,
        qdisc=told.text(_QDISC) or "",
        rx_queues=told.number(_RX_QUEUES),
        tx_queues=told.number(_TX_QUEUES),
        tx_queue_len=told.number(_TXQLEN),
        gro_max_size=told.number(_GRO_MAX_SIZE),
        master=_name_of(kernel, master, None) if master else None,
        peer=_name_of(kernel, peer_index, netns_id) if peer_index else None,
        peer_ifindex=peer_index,
        peer_netns=None if netns_id is None or not peer_index else _netns_name(kernel, netns_id),
    )


def _words(bits: int, names: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(name for bit, name in names.items() if bits & bit)


def _name_of(kernel: Kernel, index: int, netns_id: int | None) -> str | None:
    try:
        _, answer = kernel.link(index=index, netns_id=netns_id)
    except OSError:
        return None  # its namespace does not let us look
    return message_of(answer).attributes.text(_IFNAME)


def _netns_name(kernel: Kernel, netns_id: int) -> str:
    for path in Path("/run/netns").glob("*"):
        try:
            with path.open("rb") as opened:
                asked = struct.pack("=B3x", 0) + attribute(_NETNSA_FD, opened.fileno())
                found = attributes(kernel.route.ask(_RTM_GETNSID, asked)[4:]).number(_NETNSA_NSID, signed=True)
        except OSError:
            continue
        if found == netns_id:
            return path.name
    return f"id {netns_id}"
