# SPDX-License-Identifier: Apache-2.0
"""The counters of the receive path: one file for each place that keeps some, one table that says what they mean."""

from wirepath.path.counters.counter import Counter, lost_by
from wirepath.path.counters.table import STAGES, TABLE, Loss

__all__ = ["STAGES", "TABLE", "Counter", "Loss", "lost_by"]
