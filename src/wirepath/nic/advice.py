# SPDX-License-Identifier: Apache-2.0
"""Which engine to take on this NIC for a kind of traffic, and which settings of the NIC stand in its way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from wirepath.nic.engines import Way
from wirepath.nic.nic import Nic

__all__ = ["TRAFFICS", "Advice", "Choice", "advise"]

TRAFFICS = ("many-small", "bulk", "low-latency", "low-cpu")

# docs/benchmarks.md: rings of 64 MiB, AF_XDP in native mode with a copy
_MEASURED = "reference, not measured here: kernel 6.18, veth"


@dataclass(frozen=True)
class Choice:
    """A way to capture, the options that suit the traffic, and why."""

    way: Way
    options: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Advice:
    """What to use."""

    traffic: str | None
    """One of TRAFFICS; None: nothing was said of it."""
    best: Choice | None
    """Leaves the packets to the host; None: no engine that does can run here."""
    taking: Choice | None
    """What is faster still, and keeps the packets from this host's network stack; None: nothing of that kind."""
    settings: tuple[tuple[str, str], ...]
    """Commands that change the NIC to suit the traffic, and what each does."""


@dataclass(frozen=True)
class _Wish:
    engines: tuple[str, ...]
    options: tuple[str, ...]
    reason: str
    taking_options: tuple[str, ...]
    taking_reason: str
    settings: Callable[[Nic], list[tuple[str, str]]]


def advise(nic: Nic, ways: tuple[Way, ...], traffic: str | None = None) -> Advice:
    """The best of these ways for the traffic: the first that works, in the order that suits it."""
    wish = _WISHES[traffic]
    leaving = [way for way in ways if way.works and not way.takes_packets]
    # After an sk_buff was made there is nothing left to win: only native XDP is worth the host's packets.
    taking = [way for way in ways if way.works and way.takes_packets and "xdp_mode=native" in way.options]
    leaving.sort(key=lambda way: wish.engines.index(way.engine) if way.engine in wish.engines else len(wish.engines))
    return Advice(
        traffic=traffic,
        best=_best(leaving[0], wish, nic) if leaving else None,
        taking=_taking(taking[0], wish) if taking and traffic is not None else None,
        settings=tuple(wish.settings(nic)),
    )


def _best(way: Way, wish: _Wish, nic: Nic) -> Choice:
    if way.engine != wish.engines[0]:
        return Choice(way, way.options, f"{wish.engines[0]} would suit better, but cannot run here")
    spread = (f"fanout={nic.receive_queues}",) if wish.settings is _for_rate and nic.receive_queues > 1 else ()
    return Choice(way, (*way.options, *wish.options, *spread), wish.reason)


def _taking(way: Way, wish: _Wish) -> Choice:
    return Choice(way, (*way.options, *wish.taking_options), wish.taking_reason)


def _for_nothing(_nic: Nic) -> list[tuple[str, str]]:
    return []


def _for_rate(nic: Nic) -> list[tuple[str, str]]:
    found = []
    if nic.rings and nic.rings.rx and nic.rings.rx_max and nic.rings.rx < nic.rings.rx_max:
        found.append(
            (
                f"ethtool -G {nic.name} rx {nic.rings.rx_max}",
                f"the receive ring holds {nic.rings.rx} packets and can hold {nic.rings.rx_max}: fewer lost in bursts",
            )
        )
    channels = nic.channels
    useful = min(channels.combined_max or 0, os.cpu_count() or 1) if channels else 0
    if channels and channels.combined and channels.combined < useful:
        found.append(
            (
                f"ethtool -L {nic.name} combined {useful}",
                f"{channels.combined} of {channels.combined_max} queues are in use: more CPUs share the work",
            )
        )
    return found


def _for_latency(nic: Nic) -> list[tuple[str, str]]:
    waiting = nic.coalescing
    if waiting and ((waiting.rx_usecs or 0) > 0 or waiting.adaptive_rx):
        adaptive = "adaptive-rx off " if waiting.adaptive_rx is not None else ""
        return [
            (
                f"ethtool -C {nic.name} {adaptive}rx-usecs 0",
                f"the NIC waits up to {waiting.rx_usecs} us before it interrupts: none, for more interrupts",
            )
        ]
    return []


def _for_cpu(nic: Nic) -> list[tuple[str, str]]:
    found = []
    waiting, defaults = nic.coalescing, nic.napi_defaults
    if waiting and waiting.adaptive_rx is False and "rx_usecs" in waiting.parameters:
        found.append((f"ethtool -C {nic.name} adaptive-rx on", "fewer interrupts while there is much traffic"))
    if nic.irqs and defaults is not None and defaults.defer_hard_irqs == 0:
        directory = f"/sys/class/net/{nic.name}"
        found.append(
            (
                f"echo 2 >{directory}/napi_defer_hard_irqs; echo 200000 >{directory}/gro_flush_timeout",
                "the kernel polls every 200 us instead of being interrupted, at the price of that latency",
            )
        )
    return found


_WISHES: dict[str | None, _Wish] = {
    None: _Wish(
        ("tpacket_v3",),
        (),
        "what `wirepath capture` takes by itself: one copy a packet, read in place, and the packets stay the host's",
        (),
        "",
        _for_nothing,
    ),
    "many-small": _Wish(
        ("tpacket_v3", "pcap", "socket"),
        ("block_nr=128",),
        f"987,000 packets of 64 bytes a second without loss, where socket took 421,000 ({_MEASURED})",
        ("ring_size=64k",),
        f"1,364,000 packets of 64 bytes a second without loss, where tpacket_v3 took 987,000 ({_MEASURED})",
        _for_rate,
    ),
    "bulk": _Wish(
        ("tpacket_v3", "pcap", "socket"),
        ("block_nr=128",),
        f"1,603 ns of the system's CPU a 1500-byte packet, where socket took 2,785 ({_MEASURED})",
        ("ring_size=64k",),
        f"1,155 ns of the system's CPU a 1500-byte packet, where tpacket_v3 took 1,603 ({_MEASURED})",
        _for_rate,
    ),
    "low-latency": _Wish(
        ("socket", "pcap", "tpacket_v3"),
        (),
        "each packet is handed over as it comes: 0.09 ms in the median on a quiet link, where tpacket_v3 waited 4 ms "
        f"for its block ({_MEASURED})",
        ("gather_us=0",),
        "packets come before the stack has touched them, each at once. How soon was not measured",
        _for_latency,
    ),
    "low-cpu": _Wish(
        ("tpacket_v3", "pcap", "socket"),
        ("block_timeout_ms=100",),
        f"737 ns of the system's CPU a 64-byte packet, where socket took 1,752 ({_MEASURED}). The block timeout saves "
        "wakeups on top, and a packet may wait 100 ms",
        ("gather_us=100000",),
        f"369 ns of the system's CPU a 64-byte packet, where tpacket_v3 took 737 ({_MEASURED}). A packet may wait "
        "100 ms",
        _for_cpu,
    ),
}
