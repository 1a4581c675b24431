# SPDX-License-Identifier: Apache-2.0
"""What the kernel lets the instruments attach to is asked of it, kind by kind."""

from __future__ import annotations

from wirepath import _core

KINDS = ["raw_tracepoint", "tp_btf", "fentry", "fexit", "kprobe", "kprobe_multi"]


def test_each_kind_is_usable_or_says_why_not() -> None:
    hooks = _core.trace_hooks()
    assert [kind for kind, _, _ in hooks] == KINDS
    for kind, usable, reason in hooks:
        assert usable == (reason == ""), (kind, reason)
