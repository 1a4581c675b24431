# SPDX-License-Identifier: Apache-2.0
"""How long it takes until anything happens."""

from __future__ import annotations

import subprocess
import time

from bench import place
from bench.samples import Goal, Measurement, Section, Table, interleaved


def run(repetitions: int) -> Section:
    """Measure imports and the command."""
    python = place.our_python()
    found = interleaved(
        {
            "import numpy": _command(python, "-c", "import numpy"),
            "import numpy, wirepath": _command(python, "-c", "import numpy, wirepath"),
            "wirepath --help": _command(python, "-m", "wirepath", "--help"),
        },
        repetitions,
        "ms",
    )
    section = Section("startup")
    section.tables.append(
        Table("start to end of the process", ("command", "time"), [(name, str(of)) for name, of in found.items()])
    )
    added = found["import numpy, wirepath"].median - found["import numpy"].median
    section.goals.append(Goal("import wirepath, over numpy's own", added, 60, False, "ms"))
    section.goals.append(Goal("wirepath --help", found["wirepath --help"].median, 300, False, "ms"))
    return section


def _command(*command: str) -> Measurement:
    def measure() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=place.ROOT)
        return (time.perf_counter() - start) * 1e3

    return measure
