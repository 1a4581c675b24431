# SPDX-License-Identifier: Apache-2.0
"""capture_with ENGINE INTERFACE FILE [OPTION=VALUE…]: one of our engines into a file, until SIGINT.

Prints a line when it is ready and one of JSON at the end: the run's statistics, beside what the measuring program sees.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from typing import Any

import wirepath as wp


def main() -> None:
    """Run it."""
    engine, interface, path, *words = sys.argv[1:]
    options: dict[str, Any] = dict(word.split("=", 1) for word in words)
    signal.signal(signal.SIGINT, lambda *_: capture.interrupt())
    with wp.open(interface, engine, take=True, **options) as capture:
        writer = wp.PcapWriter if path.endswith(".pcap") else wp.PcapngWriter
        print("ready", capture.mode, flush=True)
        run = wp.run(capture, writer(path))
        print(json.dumps({"mode": capture.mode, "packets": run.packets, **dataclasses.asdict(run.stats)}))


if __name__ == "__main__":
    main()
