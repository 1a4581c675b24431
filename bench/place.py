# SPDX-License-Identifier: Apache-2.0
"""Where the benchmarks keep what they need, and the peers that they are run beside."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
"""On disk: the files that are read are in the page cache of a disk's file system, as a user's are."""

PEERS = ("pcapy-ng==2.1.0", "scapy==2.8.0", "dpkt==1.9.8", "numpy>=1.26")


def memory() -> tempfile.TemporaryDirectory[str]:
    """A directory on tmpfs for what is written."""
    return tempfile.TemporaryDirectory(prefix="wirepath-bench-", dir="/dev/shm")


def peers_python() -> str:
    """A Python with the packages that we are compared with, in an environment of its own."""
    place = CACHE / "peers"
    python = place / "bin" / "python"
    done = place / "installed"
    if not done.exists() or done.read_text() != "\n".join(PEERS):
        print("Installing the Python peers", flush=True)
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", *PEERS], check=True)
        done.write_text("\n".join(PEERS))
    return str(python)


def our_python() -> str:
    """The one that runs this."""
    return sys.executable


def livegen() -> str:
    """The traffic source, built from bench/livegen."""
    build = CACHE / "livegen"
    if not (build / "build.ninja").exists():
        subprocess.run(
            ["cmake", "-G", "Ninja", "-S", ROOT / "bench/livegen", "-B", build], check=True, stdout=subprocess.DEVNULL
        )
    subprocess.run(["ninja", "-C", build], check=True, stdout=subprocess.DEVNULL)
    return str(build / "livegen")
