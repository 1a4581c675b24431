# SPDX-License-Identifier: Apache-2.0
"""Known packets from a process of their own, so that sending disturbs nothing of what the receiver does.

`python -m wirepath.trace.sender PARENT INTERFACE [NETNS]` goes with the process PARENT. It reads orders (first number,
count, frame bytes, gap in µs) from standard input, a line each, and answers with the outcome: frames sent, seconds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Self

from wirepath.bench.frames import frame
from wirepath.errors import WirepathError, error
from wirepath.linux import netns
from wirepath.printable import printable
from wirepath.trace.pair import Endpoint

__all__ = ["KnownSender", "Sending"]

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Sending:
    """What an order came to."""

    sent: int
    seconds: float


class KnownSender:
    """The process, seen from the one that measures."""

    def __init__(self, end: Endpoint) -> None:
        place = [end.name, *([end.netns] if end.netns else [])]
        command = [sys.executable, "-m", "wirepath.trace.sender", str(os.getpid()), *place]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def order(self, first: int, count: int, size: int, gap_us: int) -> None:
        """It begins at once; report() must follow. Raises WirepathError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{first} {count} {size} {gap_us}\n")
        except OSError:
            raise self._ended() from None

    def report(self) -> Sending:
        """What became of the order, when it is done. Raises WirepathError."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().split()
        if len(answer) != 2:
            raise self._ended()
        return Sending(int(answer[0]), float(answer[1]))

    def _ended(self) -> WirepathError:
        return error(WirepathError, "the process that sends the known packets has ended", "It says above why")

    def close(self) -> None:
        """Ends the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _send(packets: socket.socket, first: int, count: int, size: int, gap_s: float) -> int:
    sent = 0
    for number in range(first, first + count):
        data = frame(number, size)
        try:
            packets.send(data)
        except OSError as failure:
            if failure.errno not in (errno.ENOBUFS, errno.ENETDOWN):
                raise
        else:
            sent += 1
        if gap_s and number + 1 < first + count:
            time.sleep(gap_s)
    return sent


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before it could be told
        sys.exit()


def _main(parent: str, name: str, namespace: str | None = None) -> None:
    _die_with(int(parent))
    with netns.inside(namespace):
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.bind((name, 0))
    for line in sys.stdin:
        first, count, size, gap_us = map(int, line.split())
        begun = time.monotonic()
        sent = _send(packets, first, count, size, gap_us / 1e6)
        print(sent, time.monotonic() - begun, flush=True)  # noqa: T201 (this is its answer)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except OSError as failure:
        sys.exit(f"wirepath: sending known packets on {printable(sys.argv[2])}: {failure.strerror or failure}")
