# SPDX-License-Identifier: Apache-2.0
"""What `wirepath copies` says of what it counted, and of what it did not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from unit.command_line import wirepath
from wirepath import _core
from wirepath.errors import FileFormatError, OptionError
from wirepath.figure import Figure
from wirepath.trace import reference
from wirepath.trace.copies import MODES, Count, Measurement, copying, measure
from wirepath.trace.pair import Endpoint, Pair

ROLES = {"copy", "helper", "caller", "event"}
MEASURED = Figure(100.0, "measured", "fentry f")
ZERO = Figure(0.0, "measured", "fentry f")


def count(function: str, bytes_: Figure, role: Any = "copy") -> Count:
    return Count(function, role, "packet", "", "", "", Figure(1.0, "measured"), bytes_)


def measurement(*counts: Count) -> Measurement:
    return Measurement("e", "default", "", 100, 1, 1, 1.0, "", counts, {}, {}, "")


def run(kernel: str, nic: str, rows: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    made = {"kernel": kernel, "nic": nic, "driver": nic, "machine": "M", "date": "2026-11-24", "packets": 10}
    return {**made, "observed": ["a", "b"], "inferred": [], "measurements": rows, **others}


def row(**others: Any) -> dict[str, Any]:
    made = {"engine": "socket", "mode": "default", "size": 1000, "gap_us": 500, "counts": {"a": [1.0, 1000.0]}}
    return {**made, "system_calls": {}, **others}


def given(monkeypatch: pytest.MonkeyPatch, *runs: dict[str, Any]) -> None:
    rows = tuple(reference.parse(json.dumps({"v": 1, "runs": runs})))
    monkeypatch.setattr(reference, "rows", lambda: rows)


def test_every_hook_is_described_once() -> None:
    hooks = _core.copy_hooks()
    assert len({name for name, *_ in hooks}) == len(hooks)
    assert {role for _, role, _, _ in hooks} == ROLES
    assert {by for _, _, by, _ in hooks} == {"packet", "interface", "socket", "thread"}
    assert all(meaning for *_, meaning in hooks)


def test_modes_are_of_engines_that_there_are() -> None:
    options = {engine.name: {option.name for option in engine.options} for engine in wp.engines()}
    for engine, modes in MODES.items():
        assert all(set(mode.options) <= options[engine] for mode in modes if options[engine])


@pytest.mark.parametrize(
    ("others", "value", "how"),
    [
        ([], 1.0, "measured"),
        ([count("g", Figure(100.0, "inferred", "why"))], 2.0, "inferred"),
        ([count("g", Figure(0.0, "inferred", "why"))], 1.0, "measured"),
        ([count("g", Figure(0.0, "reference", "where"))], 1.0, "reference"),
        ([count("g", Figure(None, "unknown", "why"))], None, "unknown"),
        ([count("g", Figure(None, "unknown", "why"), "helper")], 1.0, "measured"),
        ([count("driver_copy", Figure(None, "unknown", "why"))], 1.0, "measured"),
        ([count("driver_copy", Figure(0.0, "reference", "where"))], 1.0, "reference"),
        ([count("g", Figure(0.0, "reference", "where"), "helper")], 1.0, "measured"),
        ([count("g", Figure(100.0, "reference", "where"), "helper")], 2.0, "reference"),
        ([count("g", MEASURED, "caller"), count("h", MEASURED, "event")], 1.0, "measured"),
    ],
)
def test_a_sum_is_worth_what_its_weakest_part_is(others: list[Count], value: float | None, how: str) -> None:
    total = measurement(count("f", MEASURED), *others).copies
    assert (total.value, total.how) == (value, how)


def test_a_helper_that_cannot_be_observed_is_named() -> None:
    total = measurement(count("f", MEASURED), count("g", Figure(None, "unknown", "why"), "helper")).copies
    assert "g" in total.detail


def test_nothing_copied_is_a_measured_zero() -> None:
    total = measurement(count("f", ZERO)).copies
    assert (total.value, total.how) == (0.0, "measured")


def test_the_nearest_reference_is_of_that_driver_then_size_then_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [row(size=200), row()]
    given(monkeypatch, run("6.1.0-50", "igb", both), run("6.12.9", "igb", both), run("6.18.1", "veth", both))
    near = reference.nearest("socket", "default", driver="igb", size=900, kernel="6.18.44")
    assert near is not None
    assert (near.nic, near.size, near.kernel) == ("igb", 1000, "6.12.9")
    near = reference.nearest("socket", "default", driver="e1000", size=100, kernel="6.2")
    assert near is not None
    assert (near.size, near.kernel) == (200, "6.1.0-50")
    assert reference.nearest("socket", "other", driver="igb") is None


def test_veth_stands_for_no_nic(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, run("6.1.0", "igb", [row()]), run("6.12.9", "veth", [row()]))
    near = reference.nearest("socket", "default", driver="ixgbe", kernel="6.12.9")
    assert near is not None
    assert near.nic == "igb"


def test_what_a_driver_does_is_not_taken_from_another(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"a": [1.0, 200.0], "driver_copy": [1.0, 200.0], "skb_copy_bits": [1.0, 200.0]}
    e1000 = run("6.1.0", "e1000", [row(size=200, counts=counts)], observed=list(counts))
    given(monkeypatch, e1000)
    assert reference.reference("socket", "default", "driver_copy", driver="e1000", size=200).value == 200.0
    assert reference.reference("socket", "default", "driver_copy", driver="ixgbe", size=200).value is None
    assert reference.copies("socket", "default", driver="e1000", size=200).value == 2.0
    other = reference.copies("socket", "default", driver="ixgbe", size=200)
    assert other.value == 1.0
    assert "ixgbe" in other.detail


def test_a_reference_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, run("6.12.9", "igb", [row()]))
    figure = reference.reference("socket", "default", "a", driver="veth")
    assert (figure.value, figure.how) == (1000.0, "reference")
    assert all(part in figure.detail for part in ("6.12.9", "igb", "2026-11-24"))
    assert reference.reference("socket", "default", "b").value == 0.0
    assert reference.reference("socket", "default", "c") == Figure(
        None, "unknown", "never measured for socket, default"
    )


def test_bytes_of_another_size_are_inferred(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, run("6.12.9", "igb", [row()]))
    figure = reference.reference("socket", "default", "a", size=500)
    assert (figure.value, figure.how) == (500.0, "inferred")
    calls = reference.reference("socket", "default", "a", size=500, what="calls")
    assert (calls.value, calls.how) == (1.0, "reference")
    assert all("1000 B" in one.detail for one in (figure, calls))


def test_recording_replaces_the_same_kernel_and_nic(tmp_path: Path) -> None:
    path = tmp_path / "copies.json"
    for one in (run("6.12.9", "igb", [row()]), run("6.1.0", "igb", [row()]), run("6.12.9", "igb", [row(size=64)])):
        path.write_text(reference.merged(path, one))
    found = reference.parse(path.read_text())
    assert [(one.kernel, one.size) for one in found] == [("6.1.0", 1000), ("6.12.9", 64)]


@pytest.mark.parametrize("text", ["", "{}", '{"v": 2, "runs": []}', '{"v": 1, "runs": [{}]}', '{"v": 1, "runs": 3}'])
def test_a_damaged_reference_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        reference.parse(text)


def test_what_comes_with_wirepath_agrees_with_what_is_known() -> None:
    """The truths that the tests on real kernels check, too: here, that the data which users are shown has them."""
    known = {"socket": "skb_copy_datagram_iter", "tpacket_v3": "skb_copy_bits", "pcap": "skb_copy_bits"}
    rows = reference.rows()
    assert {one.nic for one in rows} >= {"e1000e", "igb", "veth", "virtio_net"}
    assert len({one.kernel for one in rows}) >= 3
    for one in rows:
        copied = {hook: one.counts[hook][1] / one.size for hook in copying() if one.counts.get(hook, (0, 0))[1]}
        driver = copied.pop("driver_copy", 0.0)
        assert driver == (1.0 if one.driver in ("e1000", "e1000e") and one.size < 256 and copied else 0.0), one
        if one.engine in known:
            assert copied.pop(known[one.engine]) == 1.0, one
            assert copied == ({"wirepath": 1.0} if one.engine == "pcap" else {}), one
        elif one.mode == "zero-copy":
            assert copied == {}, one
        else:
            expected = 2.0 if one.mode == "generic" or one.driver == "veth" else 1.0
            assert (copied["__xsk_rcv"], sum(copied.values())) == (1.0, expected), one


def test_what_cannot_be_measured_is_refused() -> None:
    pair = Pair(Endpoint("lo"), Endpoint("lo"))
    with pytest.raises(OptionError, match="no engine replay opens interfaces"):
        measure(pair, engines=["replay"])
    with pytest.raises(OptionError, match="cannot have 20 bytes"):
        measure(pair, sizes=[20])
    with pytest.raises(OptionError, match="0 packets"):
        measure(pair, count=0)


@pytest.mark.parametrize(
    ("pair", "status"), [("lo", 2), ("lo,lo", 2), ("lo,", 2), ("lo,a,b", 2), ("lo,there-is-none", 1)]
)
def test_a_pair_that_is_none_is_an_error(pair: str, status: int) -> None:
    ended = wirepath("copies", "--pair", pair, status=status)
    assert ended.stderr.startswith("wirepath: ")
    assert "Traceback" not in ended.stderr
