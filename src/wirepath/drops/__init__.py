# SPDX-License-Identifier: Apache-2.0
"""Where packets are lost on their way to the application, counted at every stage.

>>> import time
>>> from wirepath.drops import Ledger
>>> with Ledger("eth0") as ledger:
...     time.sleep(10)
...     for line in ledger.report().moved:
...         print(line.counter.stage, line.counter.name, line.since, line.counter.loss.remedy)
"""

from wirepath.drops.ledger import Ledger, Line, Report
from wirepath.drops.reasons import DropReason, ReasonWatch, XdpLoss

__all__ = ["DropReason", "Ledger", "Line", "ReasonWatch", "Report", "XdpLoss"]
