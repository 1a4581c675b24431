# SPDX-License-Identifier: Apache-2.0
"""In the network stack: taps, tc, a bridge, netfilter, routing."""

from __future__ import annotations

from collections.abc import Iterator

from wirepath.path.counters.nftables import Chain
from wirepath.path.seen import Seen, sysctl
from wirepath.path.sockets import OpenSocket, Tap
from wirepath.path.stage import Fact, Stage
from wirepath.path.stages.making import count, facts, made, size, some

__all__ = ["bridge", "netfilter", "routing", "taps", "tc"]

_PROTOCOLS = {3: "every protocol", 0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}
_RECEIVING = ("ingress", "prerouting", "input", "forward")
_RP_FILTER = {0: "off", 1: "strict", 2: "loose"}


def taps(seen: Seen) -> Stage:
    """Who is capturing."""
    losses = {c.of: c for c in seen.of("ring") if c.kind == "ring.tpacket"}
    found = [Fact(one.who, _describe(one, seen)) for one in seen.taps]
    return made(
        seen,
        "taps",
        "taps (AF_PACKET)",
        "softirq",
        found or [Fact("capturing", "nobody")],
        reads="the whole packet, as it is after GRO" if seen.taps else "nothing",
        writes="a copy or a reference for each tap whose filter accepts it; the packet goes on",
        command="ss -0 -f link -lmp; wirepath drops",
        counters=tuple(losses.values()),
        idle=not found,
    )


def _describe(one: OpenSocket, seen: Seen) -> str:
    tap = one.tap
    assert tap is not None
    where = seen.nic.name if one.ifindex else "all interfaces"
    words = [
        f"{_PROTOCOLS.get(tap.protocol, f'{tap.protocol:#06x}')} on {where}",
        _ring(tap, one),
        {True: "a filter", False: "no filter", None: "filter not told"}[one.filtered],
        f"fanout {tap.fanout}" if tap.fanout else "",
        "drops not told" if tap.drops is None else f"{tap.drops:,} dropped",
    ]
    return ", ".join(word for word in words if word)


def _ring(tap: Tap, one: OpenSocket) -> str:
    if tap.version is None:
        return f"buffer of {size(one.rcvbuf_bytes)}"
    return f"TPACKET_V{tap.version} ring, {count(tap.block_nr, 'block')} of {size(tap.block_size)}"


def tc(seen: Seen) -> Stage:
    """Filters and actions where packets come in."""
    nic = seen.nic
    filters = [one for one in nic.tc or () if one.direction == "ingress"]
    programs = [one for one in nic.tcx or () if one.mode == "ingress"]
    found = [Fact("tcx", f"program {one.name or '?'}, id {one.id}") for one in programs]
    for one in filters:
        what = f"program {one.program.name or '?'}, id {one.program.id}" if one.program else ", ".join(one.actions)
        found.append(Fact(f"{one.kind}, pref {one.priority}", what or "only classifies"))
    idle = not found
    if idle:
        told = nic.missing.get("tc")
        found = [Fact("filters", f"not told: {told}" if told else "none")]
    return made(
        seen,
        "tc",
        "tc ingress",
        "softirq",
        found,
        reads="what its filters look at" if not idle else "nothing",
        writes="a verdict; actions may change, mirror or redirect the packet" if not idle else "nothing",
        command=f"tc -s filter show dev {nic.name} ingress; bpftool net show dev {nic.name}",
        counters=seen.of("tc"),
        idle=idle,
    )


def bridge(seen: Seen) -> Stage | None:
    """Where the interface belongs to a bridge, a bond or a VRF, this takes its packets."""
    master = seen.nic.link.master
    if master is None:
        return None
    return made(
        seen,
        "bridge",
        f"port of {master}",
        "softirq",
        facts(("belongs to", master)),
        reads="the Ethernet header",
        writes=f"the packet to {master} or to another of its ports; what is below sees it as {master}'s",
        command=f"bridge link show dev {seen.nic.name}; ip -d link show {seen.nic.name}",
    )


def netfilter(seen: Seen) -> Stage:
    """Rules that filter, translate, track."""
    chains = [one for one in seen.chains if one.hook in _RECEIVING and one.device in ("", seen.nic.name)]
    found = [*_chains(chains), *_tables(seen), *_conntrack()]
    idle = not found
    if idle:
        why = seen.missing.get("nftables")
        found = [Fact("rules", f"not told: {why}" if why else "none, of nftables or iptables")]
    found += _hooks(seen)
    return made(
        seen,
        "netfilter",
        "netfilter",
        "softirq",
        found,
        reads="headers, and what its rules ask for" if not idle else "nothing",
        writes="a verdict; NAT changes addresses, connection tracking keeps a state" if not idle else "nothing",
        command="nft list ruleset; iptables-legacy-save -c; cat /proc/net/stat/nf_conntrack",
        counters=seen.of("netfilter"),
        idle=idle,
    )


def _chains(chains: list[Chain]) -> Iterator[Fact]:
    for one in sorted(chains, key=lambda one: (_RECEIVING.index(one.hook), one.priority)):
        policy = ", policy drop" if one.drops else ""
        yield Fact(one.hook, f"{one.family} {one.table} {one.name}, priority {one.priority}{policy}")


def _tables(seen: Seen) -> Iterator[Fact]:
    """Of the older iptables: those that have rules, or a policy that drops."""
    by_table: dict[tuple[str, str], int] = {}
    for rule in seen.tables:
        if rule.number or rule.target:
            key = rule.version, rule.table
            by_table[key] = by_table.get(key, 0) + bool(rule.number)
    for (version, table), number in by_table.items():
        yield Fact(f"{version}tables", f"table {table}, {count(number, 'rule')}")


def _hooks(seen: Seen) -> Iterator[Fact]:
    """Who else has registered; the chains of nftables are told already."""
    others = [one for one in seen.hooks or () if not one.function.startswith("nft_do_chain")]
    if others:
        yield Fact("also", some([f"{one.function or '?'} ({one.family} {one.hook})" for one in others], 6))


def _conntrack() -> Iterator[Fact]:
    used, room = sysctl("netfilter/nf_conntrack_count"), sysctl("netfilter/nf_conntrack_max")
    if used:
        yield Fact("connections", f"{used:,} tracked" + (f" of at most {room:,}" if room else ""))


def routing(seen: Seen) -> Stage:
    """Is it for us, for somebody else, or not acceptable at all."""
    name = seen.nic.name
    own, every = sysctl(f"ipv4/conf/{name}/rp_filter"), sysctl("ipv4/conf/all/rp_filter")
    # Of IPv6, an interface's own `forwarding` only says that it is a router's; what counts is that of all.
    forwards = {
        "IPv4": sysctl(f"ipv4/conf/{name}/forwarding"),
        "IPv6": sysctl("ipv6/conf/all/forwarding") or sysctl(f"ipv6/conf/{name}/force_forwarding"),
    }
    on = [family for family, value in forwards.items() if value]
    reverse = None if own is None or every is None else _RP_FILTER.get(max(own, every), "?")
    losses = [c for c in seen.of("protocol") if c.kind.startswith(("protocol.ip_", "protocol.icmp"))]
    return made(
        seen,
        "routing",
        "IP: check, route",
        "softirq",
        facts(
            ("addresses", some(seen.addresses) or "none: nothing is delivered here but broadcast"),
            ("forwards", ", ".join(on) or "nothing"),
            ("reverse path", f"{reverse} (rp_filter)" if reverse else None),
        ),
        reads="the IP header and its checksum; the routing table",
        writes="where it goes: to a socket here, to another interface, or away",
        command=f"ip address show {name}; ip route get ADDRESS from SOURCE iif {name}; nstat -az 'Ip*'",
        counters=losses,
    )
