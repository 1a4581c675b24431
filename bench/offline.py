# SPDX-License-Identifier: Apache-2.0
"""Reading, filtering, copying and printing capture files, beside cat, tcpdump, pcapy-ng, scapy and dpkt."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench import place, traces
from bench.samples import Goal, Measurement, Samples, Section, Table, interleaved

RARE = f"udp dst port {traces.RARE_PORT}"
ALL = "ip"

# Each prints how many ms it took from opening the file to its end; starting Python and importing are left out. Of two
# passes the second counts, of those that take a second and more the only one.
_TIMED = """
import sys, time
path, expression = sys.argv[1], sys.argv[2]
{imports}
def work():
    {work}
for _ in range({passes}):
    start = time.perf_counter()
    work()
print((time.perf_counter() - start) * 1e3)
"""


def _script(imports: str, work: str, passes: int = 2) -> str:
    return _TIMED.format(imports=imports, work=work.replace("\n", "\n    "), passes=passes)


COLUMNS = _script(
    "import wirepath as wp",
    """total = 0
with wp.open(path) as capture:
    for batch in capture:
        total += int(batch.caplen.sum())
assert total""",
)
PCAPY_NG = _script(
    "import numpy as np, pcapy",
    """total = 0
reader = pcapy.open_offline(path)
while True:
    data, packed = reader.next_batch(4096)
    if not packed:
        break
    total += int(np.frombuffer(packed, np.uint32).reshape(-1, 4)[:, 3].sum())
assert total""",
)
SCAPY = _script(
    "from scapy.utils import RawPcapReader",
    """total = 0
for data, meta in RawPcapReader(path):
    total += meta.caplen
assert total""",
    passes=1,
)
DPKT = _script(
    "import dpkt",
    """total = 0
with open(path, "rb") as file:
    for ts, data in dpkt.pcap.Reader(file):
        total += len(data)
assert total""",
    passes=1,
)
COPY = _script(
    "import os, wirepath as wp",
    """if os.path.exists(sys.argv[3]):
    os.unlink(sys.argv[3])
with wp.open(path, filter=expression) as capture:
    wp.run(capture, wp.PcapWriter(sys.argv[3]))""",
)


def _timed(python: str, script: str, path: Path, *arguments: str) -> Measurement:
    command = [python, "-c", script, str(path), *(arguments or ("",))]

    def measure() -> float:
        return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=place.ROOT).stdout)

    return measure


def _command(*command: str, remove: Path | None = None) -> Measurement:
    """The whole command by the clock, in ms, its output thrown away."""

    def measure() -> float:
        if remove is not None:
            remove.unlink(missing_ok=True)
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return (time.perf_counter() - start) * 1e3

    return measure


def run(repetitions: int) -> Section:
    """Measure everything that reads files."""
    section = Section("offline")
    for name, path in trace_files().items():
        _read(section, name, path, repetitions)
        with place.memory() as directory:
            _copy(section, name, path, Path(directory), repetitions)
        _text(section, name, path, repetitions)
    section.notes.append(
        "ms by the clock. Python programs: from opening the file to its end, without starting Python; tcpdump and cat: "
        "the whole command."
    )
    return section


def trace_files() -> dict[str, Path]:
    """The files, made when they are missing, and in the page cache as they come from the disk."""
    files = {"mixed": place.CACHE / "mixed.pcap", "64-byte": place.CACHE / "small.pcap"}
    for path, make in zip(files.values(), (traces.mixed, traces.small), strict=True):
        if not path.exists():
            partial = path.with_suffix(".partial")
            make(partial)
            partial.rename(path)
        _read_from_disk(path)
    return files


def _read_from_disk(path: Path) -> None:
    """Read-ahead fills the page cache with large folios, writing with small ones: reading those takes twice as long."""
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass


def _read(section: Section, name: str, path: Path, repetitions: int) -> None:
    peers, ours = place.peers_python(), place.our_python()
    fast = interleaved(
        {
            "cat": _command("cat", str(path)),
            "wirepath, columns": _timed(ours, COLUMNS, path),
            "pcapy-ng, next_batch": _timed(peers, PCAPY_NG, path),
        },
        repetitions,
        "ms",
    )
    slow = interleaved(
        {"scapy, RawPcapReader": _timed(peers, SCAPY, path), "dpkt, Reader": _timed(peers, DPKT, path)},
        _few(repetitions),
        "ms",
        warm=False,
    )
    found = fast | slow
    section.tables.append(_table(f"{name}: read all headers", found))
    for peer, wanted in (("pcapy-ng, next_batch", 4), ("scapy, RawPcapReader", 30), ("dpkt, Reader", 30)):
        section.goals.append(_faster(f"{name}: header columns", found, "wirepath, columns", peer, wanted))
    section.goals.append(_faster(f"{name}: header columns", found, "wirepath, columns", "cat", 0.5, aim=True))


def _copy(section: Section, name: str, path: Path, directory: Path, repetitions: int) -> None:
    out = directory / "out.pcap"
    for what, expression, wanted in (("1 % matches", RARE, 3.0), ("all matches", ALL, 1.3)):
        found = interleaved(
            {
                "tcpdump -r -w": _command("tcpdump", "-r", str(path), "-w", str(out), expression, remove=out),
                "wirepath, run": _timed(place.our_python(), COPY, path, expression, str(out)),
                "wirepath read -w": _command(
                    place.our_python(), "-m", "wirepath", "read", str(path), "-w", str(out), expression, remove=out
                ),
            },
            repetitions,
            "ms",
        )
        section.tables.append(_table(f"{name}: filtered copy, {what} ({expression})", found))
        section.goals.append(_faster(f"{name}: filtered copy, {what}", found, "wirepath, run", "tcpdump -r -w", wanted))


def _text(section: Section, name: str, path: Path, repetitions: int) -> None:
    found = interleaved(
        {
            "tcpdump -nr": _command("tcpdump", "-nr", str(path)),
            "wirepath read -n": _command(place.our_python(), "-m", "wirepath", "read", "-n", str(path)),
        },
        _few(repetitions),
        "ms",
        warm=False,
    )
    section.tables.append(_table(f"{name}: one line a packet", found))
    section.goals.append(_faster(f"{name}: one-line text", found, "wirepath read -n", "tcpdump -nr", 2))


def _few(repetitions: int) -> int:
    """Of what takes seconds."""
    return min(repetitions, 3)


def _table(title: str, found: dict[str, Samples]) -> Table:
    return Table(title, ("program", "time"), [(name, str(samples)) for name, samples in found.items()])


def _faster(what: str, found: dict[str, Samples], ours: str, peer: str, wanted: float, aim: bool = False) -> Goal:
    ratio = found[peer].median / found[ours].median
    return Goal(f"{what}, speed over {peer.split(',')[0]}'s", ratio, wanted, True, aim=aim)
