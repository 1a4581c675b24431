# SPDX-License-Identifier: Apache-2.0
"""nf_tables, as nfnetlink tells it: base chains with their hooks, and the rules that drop, with what they counted."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass

from wirepath.linux.netlink import Attributes, Netlink, attributes
from wirepath.path.counters.counter import Counter

__all__ = ["Chain", "Rule", "losses", "read_chains", "read_rules"]

_NETLINK_NETFILTER = 12
_SUBSYSTEM, _GET_CHAIN, _GET_RULE = 10 << 8, 4, 7
_ALL_FAMILIES = bytes(4)  # struct nfgenmsg
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_HOOKS_NETDEV, _HOOKS_ARP = ("ingress", "egress"), ("input", "output", "forward")
_C_TABLE, _C_NAME, _C_HOOK, _C_POLICY, _C_COUNTERS = 1, 3, 4, 5, 8
_H_NUMBER, _H_PRIORITY, _H_DEVICE = 1, 2, 3
_R_TABLE, _R_CHAIN, _R_HANDLE, _R_EXPRESSIONS = 1, 2, 3, 4
_E_NAME, _E_DATA = 1, 2
_COUNTER_PACKETS = 2
_I_REGISTER, _I_DATA, _D_VERDICT, _V_CODE = 1, 2, 2, 1
_TARGET_NAME = 1
_DROP = 0
_HARMLESS = {"immediate", "log", "reject", "target", "counter"}  # between a counter and its verdict


@dataclass(frozen=True)
class Chain:
    """A base chain: one that a hook of netfilter calls."""

    family: str
    table: str
    name: str
    hook: str
    priority: int
    device: str
    """Of the families ``netdev`` and ``inet`` at ingress; else empty."""
    drops: bool
    """Its policy is drop."""
    packets: int | None
    """That came to the policy; None: the chain does not count them."""


@dataclass(frozen=True)
class Rule:
    """A rule that drops or rejects."""

    family: str
    table: str
    chain: str
    handle: int
    verdict: str
    packets: int | None
    """None: it has no counter, or not one that counts just what it drops."""


def _dump(kind: int) -> list[tuple[str, Attributes]]:
    """Family and attributes of each object. Empty: this kernel has no nf_tables. Raises OSError: EPERM."""
    try:
        with contextlib.closing(Netlink(_NETLINK_NETFILTER)) as netfilter:
            answers = netfilter.dump(_SUBSYSTEM | kind, _ALL_FAMILIES)
    except OSError as refused:
        if refused.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
            return []
        raise
    return [(_FAMILIES.get(answer[0], str(answer[0])), attributes(answer[4:])) for answer in answers]


def read_chains() -> list[Chain]:
    """Base chains of the calling thread's namespace. Raises OSError: EPERM without CAP_NET_ADMIN."""
    return [_chain(family, told) for family, told in _dump(_GET_CHAIN) if _C_HOOK in told]


def _chain(family: str, told: Attributes) -> Chain:
    hook = told.nest(_C_HOOK)
    names = {"netdev": _HOOKS_NETDEV, "arp": _HOOKS_ARP}.get(family, _HOOKS)
    number = _big(hook, _H_NUMBER) or 0
    counters = told.nest(_C_COUNTERS)
    return Chain(
        family=family,
        table=told.text(_C_TABLE) or "",
        name=told.text(_C_NAME) or "",
        hook=names[number] if number < len(names) else str(number),
        priority=int.from_bytes(hook.get(_H_PRIORITY, b""), "big", signed=True),
        device=hook.text(_H_DEVICE) or "",
        drops=_big(told, _C_POLICY) == _DROP,
        packets=_big(counters, _COUNTER_PACKETS),
    )


def read_rules() -> list[Rule]:
    """Rules that drop or reject. Raises OSError: EPERM without CAP_NET_ADMIN."""
    return [rule for family, told in _dump(_GET_RULE) if (rule := _rule(family, told)) is not None]


def _rule(family: str, told: Attributes) -> Rule | None:
    """A counter counts what its verdict drops only if nothing between them can say no."""
    packets: int | None = None
    for expression in told.members(_R_EXPRESSIONS):
        name, data = expression.text(_E_NAME) or "", expression.nest(_E_DATA)
        if name == "counter":
            packets = _big(data, _COUNTER_PACKETS)
        verdict = _verdict(name, data)
        if verdict:
            return Rule(
                family=family,
                table=told.text(_R_TABLE) or "",
                chain=told.text(_R_CHAIN) or "",
                handle=_big(told, _R_HANDLE) or 0,
                verdict=verdict,
                packets=packets,
            )
        if name not in _HARMLESS:
            packets = None
    return None


def _verdict(name: str, data: Attributes) -> str:
    """``drop`` or ``reject``; empty: neither. A register of 0 is the verdict's own."""
    if name == "reject" or (name == "target" and data.text(_TARGET_NAME) == "REJECT"):
        return "reject"
    if name == "target" and data.text(_TARGET_NAME) == "DROP":
        return "drop"
    if name == "immediate" and _big(data, _I_REGISTER) == 0:
        code = _big(data.nest(_I_DATA).nest(_D_VERDICT), _V_CODE)
        return "drop" if code == _DROP else ""
    return ""


def _big(told: Attributes, which: int) -> int | None:
    value = told.get(which)
    return None if value is None else int.from_bytes(value, "big")


def losses() -> Iterator[Counter]:
    """What rules and policies dropped. Raises OSError: EPERM without CAP_NET_ADMIN."""
    why = "no counter: put `counter` right before the verdict"
    for rule in read_rules():
        name = f"{rule.verdict}, handle {rule.handle}"
        of = f"{rule.family} {rule.table} {rule.chain}"
        source = f"nft -a list chain {of}"
        yield Counter("netfilter.rule", name, of, rule.packets, source, "" if rule.packets is not None else why)
    for chain in read_chains():
        if chain.drops:
            of = f"{chain.family} {chain.table} {chain.name}"
            missing = "" if chain.packets is not None else "the chain does not count: end it with `counter drop`"
            yield Counter("netfilter.policy", "policy drop", of, chain.packets, f"nft list chain {of}", missing)
