# SPDX-License-Identifier: Apache-2.0
"""Interfaces whose names are no text, or would command the terminal: Linux lets root of any container make them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator

import pytest

from unit.command_line import COMMAND
from wirepath.bench.namespace import Namespace

NOT_TEXT, COLOURED, QUOTED = b"v\xff\xfe", b"\x1b[31mred", b"a'b\"<&>"


@pytest.fixture(scope="module")
def odd() -> Iterator[Namespace]:
    with Namespace("odd") as namespace, namespace.entered():
        for name in (NOT_TEXT, COLOURED, QUOTED):
            subprocess.run([b"ip", b"link", b"add", name, b"type", b"bridge"], check=True)
        yield namespace


def on_terminal(namespace: Namespace, *arguments: bytes) -> tuple[int, bytes]:
    """Exit status, and what a terminal was sent."""
    ours, theirs = pty.openpty()
    with namespace.start([*COMMAND, *arguments], stdout=theirs, stderr=theirs, stdin=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # how a terminal ends
            pass
        os.close(ours)
    return process.returncode, shown


@pytest.mark.parametrize("name", [NOT_TEXT, COLOURED, QUOTED])
@pytest.mark.parametrize(
    "command",
    [
        (b"nic",),
        (b"nic", b"--rates", b"--interval", b"0.1"),
        (b"path",),
        (b"path", b"--html", b"-"),
        (b"path", b"--svg", b"-"),
        (b"drops", b"--all", b"--seconds", b"0"),
    ],
)
def test_one_of_them(odd: Namespace, command: tuple[bytes, ...], name: bytes) -> None:
    status, shown = on_terminal(odd, *command, name)
    assert status == 0, shown
    assert b"\xff" not in shown
    assert b"\x1b[31m" not in shown


@pytest.mark.parametrize("command", [(b"nic",), (b"drops", b"--all", b"--seconds", b"0"), (b"capture", b"-D")])
def test_all_of_them(odd: Namespace, command: tuple[bytes, ...]) -> None:
    status, shown = on_terminal(odd, *command)
    assert status == 0, shown
    assert b"\xff" not in shown
    assert b"\x1b[31m" not in shown


@pytest.mark.parametrize("name", [NOT_TEXT, COLOURED, QUOTED])
@pytest.mark.parametrize("command", [b"nic", b"path"])
def test_as_json(odd: Namespace, command: bytes, name: bytes) -> None:
    with odd.entered():
        told = subprocess.run([*COMMAND, command, "--json", name], capture_output=True, check=True).stdout
    said = json.loads(told)
    assert os.fsencode(said["name" if command == b"nic" else "interface"]) == name


def test_the_error_lists_them(odd: Namespace) -> None:
    status, shown = on_terminal(odd, b"nic", b"eth9")
    assert status == 1
    assert b"Traceback" not in shown
    assert b"\x1b[31m" not in shown
