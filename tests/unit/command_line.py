# SPDX-License-Identifier: Apache-2.0
"""The command, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "wirepath"]


def wirepath(*args: object, status: int = 0, text: bool = True, **how: Any) -> subprocess.CompletedProcess[Any]:
    """Run it to its end, and check its exit status."""
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=text, timeout=60, check=False, **how)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done
