# SPDX-License-Identifier: Apache-2.0
"""From the wire to the poll: the ring, the interrupt, NAPI."""

from __future__ import annotations

from collections.abc import Iterator

from wirepath.nic import Irq, Napi
from wirepath.path.seen import Seen
from wirepath.path.stage import Fact, Stage
from wirepath.path.stages.making import count, facts, made, size, some
from wirepath.path.stages.virtual import arrival_of

__all__ = ["irq", "napi", "ring"]


def ring(seen: Seen) -> Stage:
    """Where the packet first lies in memory."""
    nic, rings = seen.nic, seen.nic.rings
    if nic.link.kind == "veth":
        return _ring_of_veth(seen)
    arrival = arrival_of(nic.link)
    if arrival is not None:
        below = nic.link.peer if nic.link.peer and not nic.link.peer_netns else None
        return made(
            seen, "ring", f"{nic.link.kind or nic.link.hardware} {nic.name}", arrival.context,
            facts(("below it", below), ("MTU", f"{nic.link.mtu:,} bytes")),
            reads=arrival.reads, writes=arrival.writes,
            command=f"ip -d link show {nic.name}", counters=seen.of("nic", "driver"),
        )  # fmt: skip
    length = None
    if rings is not None and rings.rx is not None:
        length = count(rings.rx, "descriptor") + (f" (at most {rings.rx_max:,})" if rings.rx_max else "")
    driver = nic.driver
    return made(
        seen,
        "ring",
        "NIC ring",
        "hardware",
        facts(
            ("driver", f"{driver.name} {driver.version} at {driver.bus_info}".strip() if driver else None),
            ("link", _speed(seen)),
            ("receive queues", _queues(seen)),
            ("ring", length),
            ("buffer", size(rings.rx_buf_len) if rings is not None and rings.rx_buf_len else None),
            ("MTU", f"{nic.link.mtu:,} bytes"),
        ),
        reads="the wire",
        writes="the frame into receive buffers in memory, by DMA: no copy by the CPU",
        command=f"ethtool -g {nic.name}; ethtool -l {nic.name}; ethtool -S {nic.name}",
        counters=seen.of("nic", "driver"),
    )


def _ring_of_veth(seen: Seen) -> Stage:
    link = seen.nic.link
    where = f" in the namespace {link.peer_netns}" if link.peer_netns else ""
    polls = _polls(seen)
    return made(
        seen,
        "ring",
        "veth pair",
        "process",
        facts(
            ("other end", f"{link.peer or f'interface {link.peer_ifindex}'}{where}"),
            ("receive queues", count(seen.nic.receive_queues, "queue")),
            ("ring", "256 pointers a queue, emptied by NAPI (GRO or native XDP is on)" if polls else None),
            (
                "backlog",
                None if polls else "none of its own: the sender puts it into its CPU's backlog (GRO and XDP are off)",
            ),
            ("MTU", f"{link.mtu:,} bytes"),
        ),
        reads="the sk_buff that the other end sends",
        writes="a pointer to it: nothing is copied",
        command=f"ip -d link show {link.name}; ethtool -S {link.name}",
        counters=seen.of("nic", "driver"),
    )


def _polls(seen: Seen) -> bool:
    offloads = seen.nic.offloads or {}
    gro = offloads.get("rx-gro")
    return (gro is not None and gro.active) or any(program.mode == "native" for program in seen.nic.xdp)


def _speed(seen: Seen) -> str | None:
    speed = seen.nic.speed
    if seen.nic.link.carrier is False:
        return "no carrier"
    return f"{speed.mbps:,} Mbit/s" if speed is not None and speed.mbps else None


def _queues(seen: Seen) -> str:
    rss = seen.nic.rss
    number = seen.nic.receive_queues
    if number > 1 and rss is not None and rss.function:
        return f"{number}, chosen by RSS ({rss.function} hash, a table of {len(rss.indirection)})"
    return str(number)


def irq(seen: Seen) -> Stage:
    """What wakes a CPU."""
    nic = seen.nic
    arrival = arrival_of(nic.link)
    if arrival is not None or not nic.irqs:
        why = arrival.woken if arrival is not None else "none is registered by it"
        if arrival is None and nic.irqs is None:
            why = f"not told: {nic.missing.get('irqs', 'unknown')}"
        return made(
            seen, "irq", "interrupt", "interrupt", facts(("interrupt", why)),
            reads="nothing", writes="nothing", command="cat /proc/softirqs", idle=True,
        )  # fmt: skip
    return made(
        seen,
        "irq",
        "hardware interrupt → CPU",
        "interrupt",
        [*_irqs(nic.irqs), *facts(("moderation", _moderation(seen)))],
        reads="nothing: it only wakes up",
        writes="its NAPI instance into the CPU's poll list; the interrupt is off until the ring is empty",
        command="grep . /proc/irq/*/smp_affinity_list; cat /proc/interrupts",
    )


def _irqs(irqs: tuple[Irq, ...]) -> Iterator[Fact]:
    """The busiest ones: those that receive."""
    for one in sorted(irqs, key=lambda one: -one.total)[:4]:
        goes = f"to CPU {one.effective or one.affinity or '?'}"
        yield Fact(f"IRQ {one.number}", f"{one.name} {goes}, {one.total:,} so far")
    if len(irqs) > 4:
        yield Fact("more", count(len(irqs) - 4, "interrupt"))


def _moderation(seen: Seen) -> str | None:
    told = seen.nic.coalescing
    if told is None or (told.rx_usecs is None and told.adaptive_rx is None):
        return None
    if told.adaptive_rx:
        return "adaptive"
    if not told.rx_usecs:
        return "none: it interrupts at once"
    frames = f" or {told.rx_max_frames} packets" if told.rx_max_frames else ""
    return f"waits at most {told.rx_usecs} µs{frames}"


def napi(seen: Seen) -> Stage:
    """Who takes the packets out of the ring, how many at a time, on which CPU."""
    nic, limits = seen.nic, seen.nic.softnet_limits
    polling = [_instance(seen, one) for one in (nic.napi or ())[:4]]
    backlog = nic.link.hardware == "loopback" or (nic.link.kind == "veth" and not _polls(seen))
    arrival = arrival_of(nic.link)
    nobody = arrival.polled if arrival is not None and not nic.napi else ""
    return made(
        seen,
        "napi",
        "backlog" if backlog else "NAPI poll",
        "softirq",
        [
            *polling,
            *facts(
                ("polled", nobody),
                ("instances", f"not told: {nic.missing['napi']}" if "napi" in nic.missing and not backlog else None),
                ("budget", _budget(seen) or "the host's, which this namespace does not show (net.core.netdev_budget)"),
                ("backlog", f"{limits.netdev_max_backlog:,} packets a CPU" if limits.netdev_max_backlog else None),
                ("busy polling", _busy(seen)),
                ("steering", _steering(seen)),
            ),
        ],
        reads="descriptors of the ring" if not seen.virtual else "the queue of sk_buffs",
        idle=bool(nobody),
        writes="nothing yet: it calls what follows, packet by packet",
        command="cat /proc/net/softnet_stat; sysctl net.core.netdev_budget net.core.netdev_max_backlog",
        counters=seen.of("backlog"),
    )


def _instance(seen: Seen, one: Napi) -> Fact:
    defaults = seen.nic.napi_defaults
    threaded = one.threaded or (defaults.threaded if defaults else None)
    where = f"thread {one.pid}" if one.pid else "in softirq" if threaded in (None, "off") else "in a thread"
    irq_ = f"IRQ {one.irq}, " if one.irq is not None else ""
    defer = f", {one.defer_hard_irqs} polls deferred" if one.defer_hard_irqs else ""
    flush = f", flush after {one.gro_flush_timeout_ns // 1000} µs" if one.gro_flush_timeout_ns else ""
    served = f"rx queue {some([str(queue) for queue in one.rx_queues])}, " if one.rx_queues else ""
    return Fact(f"NAPI {one.id}", f"{served}{irq_}{where}{defer}{flush}")


def _budget(seen: Seen) -> str | None:
    limits = seen.nic.softnet_limits
    if limits.netdev_budget is None:
        return None
    time = f" or {limits.netdev_budget_usecs:,} µs" if limits.netdev_budget_usecs else ""
    return f"64 packets a poll, {limits.netdev_budget} a softirq{time}"


def _busy(seen: Seen) -> str | None:
    limits = seen.nic.softnet_limits
    if limits.busy_poll or limits.busy_read:
        return f"sockets spin {limits.busy_read or 0} µs (busy_read), poll {limits.busy_poll or 0} µs (busy_poll)"
    return "off, unless a program asks for it" if limits.busy_poll is not None else None


def _steering(seen: Seen) -> str | None:
    rows = [row for row in seen.nic.steering or () if row.type == "rx" and row.cpus]
    if not rows:
        return None
    return some([f"queue {row.queue} on to CPUs {', '.join(map(str, row.cpus or ()))}" for row in rows]) + " (RPS)"
