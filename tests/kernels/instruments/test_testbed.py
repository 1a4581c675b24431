# SPDX-License-Identifier: Apache-2.0
"""What the other tests of this directory stand on."""

from __future__ import annotations

import socket
from pathlib import Path

from wirepath import _core
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import Wire
from wirepath.bench.link import Link
from wirepath.bench.namespace import Namespace

ETH_P_ALL = 3


def test_every_hook_is_allowed(kernel_version: tuple[int, int]) -> None:
    refused = {kind for kind, usable, _ in _core.trace_hooks() if not usable}
    # Debian's 6.1 is built without CONFIG_FPROBE.
    assert refused == ({"kprobe_multi"} if kernel_version < (6, 12) else set())


def test_filesystems_are_mounted() -> None:
    for path in ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing", "/sys/fs/bpf", "/dev/shm", "/dev/pts/ptmx"):
        assert Path(path).exists(), path


def test_frames_pass_between_the_pair(nic_pair: tuple[str, str]) -> None:
    near, far = nic_pair
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((far, ETH_P_ALL))
        tap.settimeout(10)
        with Namespace.at("/proc/thread-self/ns/net", "home") as home, Sender(Link(home, near)) as sender:
            Link(home, far).set(flags=0x100, change=0x100)  # IFF_PROMISC
            sender.send(frame(number) for number in range(20))
            found = [number_of(tap.recv(2048)) for _ in range(20)]
            Link(home, far).set(flags=0, change=0x100)
    assert found == list(range(20))


def test_frames_pass_between_namespaces(wire: Wire) -> None:
    before = wire.sent()
    with Sender(wire.near) as sender:
        sender.send(frame(number) for number in range(20))
    assert (wire.sent() - before).sent == 20
