# SPDX-License-Identifier: Apache-2.0
"""The first file system of a guest: busybox, a few modules, and a script that goes on to the host's file system."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .kernel import Kernel, uncompressed_module
from .tools import Tools

# What it takes to see the host's files; the guest's other modules come from there.
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console", "virtio_rng")

_9P = "trans=virtio,version=9p2000.L,msize=512000"

_INIT = f"""\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /lower /top /root
/bin/busybox mount -t proc proc /proc
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod /$module; done
/bin/busybox mount -t 9p -o {_9P},cache=loose,ro,access=any hostroot /lower &&
/bin/busybox mount -t tmpfs -o size=80% tmpfs /top &&
/bin/busybox mkdir /top/upper /top/work &&
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/top/upper,workdir=/top/work,xino=off,index=off none /root &&
/bin/busybox mkdir -p /root/mnt /root/proc /root/sys /root/dev /root/run &&
/bin/busybox mount -t tmpfs tmpfs /root/run &&
/bin/busybox mkdir /root/run/control &&
/bin/busybox mount -t 9p -o {_9P},access=any control /root/run/control &&
/bin/busybox umount /proc &&
exec /bin/busybox switch_root /root /run/control/busybox sh /run/control/start
echo "the guest did not find the host's files" >/dev/console
/bin/busybox poweroff -f
"""


@dataclass(frozen=True)
class Entry:
    """A file of an archive."""

    name: str
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o755
    device: tuple[int, int] = (0, 0)


def archive(entries: list[Entry]) -> bytes:
    """A cpio archive in the format newc (Linux: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    return b"".join(_packed(entries))


def _packed(entries: list[Entry]) -> Iterator[bytes]:
    for number, entry in enumerate([*entries, Entry("TRAILER!!!")], start=1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        yield head + bytes(-len(head) % 4)
        yield entry.data + bytes(-len(entry.data) % 4)


def initramfs(kernel: Kernel, tools: Tools) -> bytes:
    """For this kernel."""
    modules = [(path.name.partition(".")[0] + ".ko", path) for path in kernel.with_dependencies(_MODULES)]
    entries = [
        Entry("dev", mode=stat.S_IFDIR | 0o755),
        Entry("dev/console", mode=stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("bin", mode=stat.S_IFDIR | 0o755),
        Entry("bin/busybox", _bytes(tools.busybox)),
        Entry("init", _INIT.encode()),
        Entry("modules", "\n".join(name for name, _ in modules).encode()),
    ]
    return archive(entries + [Entry(name, uncompressed_module(path)) for name, path in modules])


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
