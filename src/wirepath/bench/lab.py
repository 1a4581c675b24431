# SPDX-License-Identifier: Apache-2.0
"""Private networks to capture in: a wire between two namespaces, and a switch with a monitor port.

Everything lives in namespaces without names, so that nothing of it touches the host's network or outlives the process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

from wirepath.bench.link import Link, veth
from wirepath.bench.namespace import Namespace

JUMBO_MTU = 9000  # bytes, without the Ethernet header
VLAN_ID = 100  # of tagged traffic
LEFT_ADDRESS, RIGHT_ADDRESS = "10.77.0.1", "10.77.0.2"
LEFT_MAC, RIGHT_MAC = bytes.fromhex("020000770001"), bytes.fromhex("020000770002")

_CLSACT_INGRESS = 0xFFFFFFF2
_ETH_P_ALL = 3


@dataclass(frozen=True)
class Sent:
    """What went to the interface that is captured, by the kernel's own counters, in packets. Cumulative."""

    sent: int  # given to the link: each also counted in one of the next three, or it is unexplained
    delivered: int  # that the link took
    dropped_link: int  # refused by a receiver that polls (NAPI): its ring was full
    dropped_backlog: int  # refused by a receiver that does not: the CPU's input queue was full
    dropped_nic: int = 0  # that a NIC had no room for

    def __sub__(self, before: Sent) -> Sent:
        return Sent(*(getattr(self, field.name) - getattr(before, field.name) for field in fields(Sent)))


def _link_losses(dropped: int, receiver: Link) -> tuple[int, int]:
    return (dropped, 0) if receiver.polls() else (0, dropped)


class Wire:
    """Two interfaces joined: what leaves `near` arrives at `far`, frame by frame.

    The constants say what is otherwise where the wire is one between NICs (`nic_wire.NicWire`).

    With `relay` a third namespace stands between them and passes the frames on: on its way in the kernel takes a VLAN
    tag out of a frame's bytes, so that it arrives in metadata, as from a NIC with VLAN offload.
    """

    driver = "veth"
    smallest = 0  # bytes of a frame: a shorter one arrives longer
    burst: int | None = None  # frames that may be underway at a time; None: any number

    def __init__(self, *, queues: int = 1, mtu: int = JUMBO_MTU, relay: bool = False) -> None:
        self.queues = queues  # that the far end receives with
        with contextlib.ExitStack() as made:
            self.near = Link(made.enter_context(Namespace("near")), "gen0")
            self.far = Link(made.enter_context(Namespace("far")), "mon0")
            self._last = self.near  # the interface that gives to the far one
            if relay:
                between = made.enter_context(Namespace("relay"))
                inward, self._last = Link(between, "in0"), Link(between, "out0")
                veth(self.near, inward, queues=queues, mtu=mtu)
            veth(self._last, self.far, queues=queues, mtu=mtu)
            if relay:
                # A copy, not the frame itself: generic XDP passes over what tc has redirected.
                _pass_on(inward, _mirred("mirror", self._last, 1))
            self._made = made.pop_all()

    def sent(self) -> Sent:
        """`sent` is what the link was given; a generator's own count is to agree with it."""
        last = self._last.counters()
        link, backlog = _link_losses(last.tx_dropped, self.far)
        return Sent(last.tx_packets + last.tx_dropped, self.far.counters().rx_packets, link, backlog)

    def settle(self) -> None:
        """Until what is sent arrives. A veth's two ends are always ready."""

    def flush(self) -> None:
        """Until nothing is underway, nor what nobody counts. A veth's frames are there when they are sent."""

    def unplug(self) -> None:
        """The far interface goes, as if somebody pulled it out."""
        self.near.delete()

    def far_came_free(self) -> bool:
        """Whether the far interface's namespace, which was let go of, is gone, and the interface out of it."""
        return not self.near.exists

    def close(self) -> None:
        """Lets go of the namespaces: the kernel removes them and what is in them."""
        self._made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Lab:
    """Two hosts on a switch, and a third port that gets a copy of all that passes between them, both ways."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as made:
            left, right, switch, monitor = (
                made.enter_context(Namespace(name)) for name in ("left", "right", "switch", "monitor")
            )
            self.left, self.right = Link(left, "eth0"), Link(right, "eth0")
            self.ports = (Link(switch, "port1"), Link(switch, "port2"))
            self.span, self.monitor = Link(switch, "span"), Link(monitor, "mon0")
            for near, far in zip((*self.ports, self.span), (self.left, self.right, self.monitor), strict=True):
                veth(near, far, mtu=JUMBO_MTU)
            for host, mac, address in (
                (self.left, LEFT_MAC, LEFT_ADDRESS),
                (self.right, RIGHT_MAC, RIGHT_ADDRESS),
            ):
                host.set(address=mac.hex(":"))
                host.add_address(address, 24)
            self._forward_and_mirror()
            self._made = made.pop_all()

    def _forward_and_mirror(self) -> None:
        """Has tc, at the ingress of each port, copy to the monitor port and redirect to the other port."""
        one, two = self.ports
        for number, (port, other) in enumerate(((one, two), (two, one)), start=1):
            mirror = _mirred("mirror", self.span, number)
            _pass_on(port, mirror, _mirred("redirect", other, number + len(self.ports)))

    def sent(self) -> Sent:
        """`sent` is what the mirror actions were given, counted there, not at the interface that they send to."""
        span = self.span.counters()
        link, backlog = _link_losses(span.tx_dropped, self.monitor)
        return Sent(self._mirrored(), self.monitor.counters().rx_packets, link, backlog)

    def _mirrored(self) -> int:
        packets: dict[int, int] = {}
        with self.span.namespace.routes() as routes:
            for port in self.ports:
                for message in routes.get_filters(index=port.index, parent=_CLSACT_INGRESS):
                    packets.update(_packets_by_action(message))
        return sum(packets[number] for number in range(1, len(self.ports) + 1))

    def close(self) -> None:
        """Lets go of the namespaces: the kernel removes them and what is in them."""
        self._made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mirred(action: str, to: Link, number: int) -> dict[str, Any]:
    return {"kind": "mirred", "direction": "egress", "action": action, "ifindex": to.index, "index": number}


def _pass_on(link: Link, *actions: dict[str, Any]) -> None:
    """Has tc do this with every frame that comes in at `link`."""
    index = link.index
    with link.namespace.routes() as routes:
        routes.tc("add", "clsact", index)
        routes.tc(
            "add-filter",
            "u32",
            index,
            parent=_CLSACT_INGRESS,
            prio=1,
            protocol=_ETH_P_ALL,
            target=0,
            keys=["0x0/0x0+0"],
            action=list(actions),
        )


def _packets_by_action(message: Any) -> Iterator[tuple[int, int]]:
    options = message.get_attr("TCA_OPTIONS")
    actions = options.get_attr("TCA_U32_ACT") if options is not None else None
    for _, action in actions["attrs"] if actions is not None else ():
        number = action.get_attr("TCA_ACT_OPTIONS").get_attr("TCA_MIRRED_PARMS")["index"]
        yield number, action.get_attr("TCA_ACT_STATS").get_attr("TCA_STATS_BASIC")["packets"]
