# SPDX-License-Identifier: Apache-2.0
"""Engine by case: who takes part, and the table at the end of the run.

A case is a test function that asks for `subject` (any engine), `live` (one that captures from an interface) or
`recorded` (one that reads a file). Its row is the function's name without `test_`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.subject import Live, Recorded, Subject
from contract.variants import Variant, prepare, unusable, variants, wanting

_EXPECTED = Path(__file__).with_name("expected_skips")
_table: dict[tuple[str, str], str] = {}  # (case, column) → what became of it
_BADNESS = ("pass", "skip", "cannot", "STALE", "SKIP", "FAIL")


def _expected_skips() -> dict[tuple[str, str], str]:
    lines = [line.strip() for line in _EXPECTED.read_text(encoding="utf-8").splitlines()]
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            column, case, reason = (part.strip() for part in line.split("|"))
            found[case, column] = reason
    return found


def _kinds(names: list[str]) -> tuple[bool, bool]:
    """Whether a test runs over engines for interfaces, and over engines for files."""
    return "subject" in names or "live" in names, "subject" in names or "recorded" in names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for_live, for_files = _kinds(metafunc.fixturenames)
    if for_live or for_files:
        over_nics = metafunc.config.getoption("--nic-pair") is not None
        columns = [variant for variant in variants(over_nics=over_nics) if (for_files if variant.file else for_live)]
        metafunc.parametrize("variant", columns, ids=lambda variant: variant.name.replace(" ", "-"))


@pytest.fixture(scope="session")
def reasons() -> dict[str, str]:
    return unusable()


@pytest.fixture
def live(
    variant: Variant, reasons: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Live]:
    prepare(variant.engine, monkeypatch)
    if variant.name in reasons:
        pytest.skip(f"cannot run here: {reasons[variant.name]}")
    wire = request.getfixturevalue("wire")
    if reason := wanting(variant, wire.driver):
        pytest.skip(f"cannot run here: {reason}")
    subject = Live(variant, wire)
    yield subject
    subject.close()


@pytest.fixture
def recorded(variant: Variant, tmp_path: Path) -> Recorded:
    return Recorded(variant, tmp_path)


@pytest.fixture
def subject(variant: Variant, request: pytest.FixtureRequest) -> Subject:
    return request.getfixturevalue("recorded" if variant.file else "live")


def _place(item: pytest.Item) -> tuple[str, str] | None:
    callspec = getattr(item, "callspec", None)
    if callspec is None or not isinstance(callspec.params.get("variant"), Variant):
        return None
    name = getattr(item, "originalname", item.name)
    return name.removeprefix("test_"), callspec.params["variant"].name


def _note(place: tuple[str, str], outcome: str) -> None:
    """Of a case's several tests the worst counts."""
    if _BADNESS.index(outcome) >= _BADNESS.index(_table.get(place, _BADNESS[0])):
        _table[place] = outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    report = yield
    place = _place(item)
    if place is None or (report.when == "teardown" and report.passed):
        return report
    if report.skipped:
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        cannot = "cannot run here" in reason
        _note(place, "cannot" if cannot else "skip")
        if not cannot and place not in _expected_skips():
            _note(place, "SKIP")
            report.outcome = "failed"
            report.longrepr = f"skipped, and {_EXPECTED.name} does not say so: {reason}"
    elif report.failed:
        _note(place, "FAIL")
    elif report.when == "call":
        _note(place, "pass")
        if place in _expected_skips():
            _note(place, "STALE")
            report.outcome = "failed"
            report.longrepr = f"passed, and {_EXPECTED.name} says that it is skipped"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _table:
        return
    columns = list(dict.fromkeys(column for _, column in _table))
    cases = list(dict.fromkeys(case for case, _ in _table))
    width = max(len(case) for case in cases)
    terminalreporter.section("contract: engine by case")
    terminalreporter.line(" " * width + "  " + "  ".join(columns))
    for case in cases:
        cells = (_table.get((case, column), "-").center(len(column)) for column in columns)
        terminalreporter.line(f"{case:<{width}}  " + "  ".join(cells))
    terminalreporter.line("-: not a case for this engine: it is about interfaces, or about files")
    for (case, column), reason in _expected_skips().items():
        if _table.get((case, column)) == "skip":
            terminalreporter.line(f"skip: {column}, {case}: {reason}")
    for column, reason in unusable().items():
        terminalreporter.line(f"cannot: {column}: {reason}")
