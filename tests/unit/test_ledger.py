# SPDX-License-Identifier: Apache-2.0
"""The ledger's own reckoning, over counters that a test writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from wirepath.drops import Ledger
from wirepath.path.counters import Counter
from wirepath.path.sockets import Sockets


def rule(value: int) -> Counter:
    return Counter("netfilter.rule", "drop, handle 3", "inet filter input", value, "nft")


class Readings:
    """What the kernel says, time after time."""

    def __init__(self, *each: list[Counter]) -> None:
        self.left: Iterator[list[Counter]] = iter(each)

    def __call__(self, _interfaces: Iterable[str]) -> tuple[list[Counter], dict[str, str]]:
        return next(self.left), {}


def ledger_of(monkeypatch: pytest.MonkeyPatch, *each: list[Counter]) -> Ledger:
    class NoSockets:
        def read(self) -> Sockets:
            return Sockets((), "")

    monkeypatch.setattr("wirepath.drops.ledger.SocketReader", NoSockets)
    monkeypatch.setattr("wirepath.drops.ledger.read_counters", Readings(*each))
    return Ledger(reasons=False)


def test_what_could_not_be_read_for_a_while_goes_on_from_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with ledger_of(monkeypatch, [rule(1000)], [rule(1002)], [], [rule(1005)]) as ledger:
        assert [ledger.report().lost for _ in range(3)] == [2, 2, 5]


def test_what_was_not_there_began_at_0(monkeypatch: pytest.MonkeyPatch) -> None:
    with ledger_of(monkeypatch, [], [rule(7)]) as ledger:
        assert ledger.report().lost == 7
