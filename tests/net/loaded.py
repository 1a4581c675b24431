# SPDX-License-Identifier: Apache-2.0
"""What of BPF is in the kernel, as bpftool lists it."""

from __future__ import annotations

import json
import subprocess
import time

__all__ = ["ids"]


def ids(what: str, name: str = "") -> set[int]:
    """Of all programs (``prog``) or links (``link``); of programs also those of this name only.

    bpftool gives up when one vanishes while it lists them: then it is asked again.
    """
    for _ in range(50):
        listed = subprocess.run(["bpftool", "--json", what, "list"], capture_output=True, check=False, text=True)
        if listed.returncode == 0:
            return {one["id"] for one in json.loads(listed.stdout) if name in ("", one.get("name"))}
        time.sleep(0.1)
    raise AssertionError(listed.stdout + listed.stderr)
