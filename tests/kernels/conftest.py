# SPDX-License-Identifier: Apache-2.0
"""The instruments' tests need a kernel that can be traced, and NICs: they run in guests only."""

from __future__ import annotations

import os

collect_ignore = [] if "WIREPATH_GUEST_KERNEL" in os.environ else ["instruments"]
