# SPDX-License-Identifier: Apache-2.0
"""Every machine that can run a filter here, asked about the same packets."""

from __future__ import annotations

import pytest

import wirepath as wp
from unit.filter_expressions import ETHERNET
from wirepath import _core
from wirepath.filter import HOOKS

LD, ABS, METADATA = 0x00, 0x20, 0xFFFFF000


def asks_for_metadata(compiled: wp.Filter) -> bool:
    """Also by a number that only looks like an offset: what that means is up to each machine."""
    return any(code & 7 == LD and code & 0xE0 == ABS and k >= METADATA for code, _, _, k in compiled.instructions)


class Machines:
    """One filter in each; those that this process may not use are left out."""

    def __init__(self, text: str, linktype: int = ETHERNET) -> None:
        compiled = wp.compile_filter(text, linktype)
        self._text = text
        self._libpcap = _core.FilterMachine("libpcap", compiled)
        self._others = {}
        for name, _ in _core.filter_machines():
            if name == "socket" and _core.kernel_may_differ(compiled):
                continue
            if name != "libpcap":
                try:
                    self._others[name] = _core.FilterMachine(name, compiled)
                except wp.NoPermissionError:
                    continue
                except wp.SystemCallError:  # `geneve or ip`: memory that not every path has set
                    assert name == "socket"

    def agree_on(self, data: bytes, origlen: int) -> None:
        """Fail if one that can be given the packet does not say what libpcap says."""
        expected, _ = self._libpcap.judge(data, origlen)
        for name, machine in self._others.items():
            matches, not_given = machine.judge(data, origlen)
            assert not_given or matches is expected, (self._text, name, len(data), data[:200].hex(), origlen)


def may_load() -> None:
    """Skip where BPF programs cannot be loaded."""
    try:
        _core.filter_loaded(wp.compile_filter("ip"), "xdp")
    except wp.NoPermissionError as error:
        pytest.skip(str(error))


def loads_everywhere(compiled: wp.Filter) -> None:
    """Fail if the kernel's verifier refuses it at a hook."""
    for hook in HOOKS:
        _core.filter_loaded(compiled, hook)
