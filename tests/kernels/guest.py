# SPDX-License-Identifier: Apache-2.0
"""What a guest does once it has the host's files: mounts, interfaces, the command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from .kernel import Kernel
from .nics import Nic, mac
from .tools import Tools

CONTROL = "/run/control"  # shared with the host: the scripts, the exit code
TEMPORARY = "/run/tmp"
OUTPUT_PORT = "wirepath.output"

_MOUNTS = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
bb=/run/control/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb mkdir -p /dev/pts /dev/shm /dev/hugepages /run/tmp /run/lock
$bb chmod 1777 /run/tmp
$bb mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
$bb mount -t tmpfs -o mode=1777 shm /dev/shm
[ -e /dev/fd ] || $bb ln -s /proc/self/fd /dev/fd
$bb mount -t debugfs debugfs /sys/kernel/debug
$bb mount -t tracefs tracefs /sys/kernel/tracing
$bb mount -t bpf bpffs /sys/fs/bpf
$bb mount -t cgroup2 cgroup2 /sys/fs/cgroup
$bb hostname wirepath-guest
$bb ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
"""


def start_script(kernel: Kernel, tools: Tools, nics: Sequence[Nic], out: Path | None) -> str:
    """Run by busybox as the guest's first process. It ends by switching the machine off."""
    return "\n".join(
        [
            "#!/run/control/busybox sh",
            _MOUNTS,
            _modules(kernel, tools),
            *(_interfaces(nics)),
            *([_share(out)] if out is not None else []),
            _COMMAND,
        ]
    )


def _modules(kernel: Kernel, tools: Tools) -> str:
    # The kernel asks for modules by this program, and without one on the host it is also what a command finds.
    # kmod takes its task from the name that it is called by.
    wrapper = f'#!/bin/sh\\nLD_LIBRARY_PATH={tools.library_path} exec /run/kmod/modprobe "$@"\\n'
    return f"""\
$bb mkdir -p /lib/modules /run/kmod /usr/sbin
$bb ln -sfn {shlex.quote(str(kernel.modules))} /lib/modules/{kernel.modules.name}
$bb ln -s {shlex.quote(str(tools.kmod))} /run/kmod/modprobe
printf {shlex.quote(wrapper)} >/run/modprobe
$bb chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
[ -e /usr/sbin/modprobe ] || $bb ln -s /run/modprobe /usr/sbin/modprobe
"""


def _interfaces(nics: Sequence[Nic]) -> list[str]:
    """Named by their addresses: the kernel's own names follow the order in which drivers come."""
    lines = [f"/run/modprobe {nic.module}" for nic in dict.fromkeys(nics)]
    for number, nic in enumerate(nics):
        for end, name in enumerate(nic.interfaces):
            lines.append(f"""\
for link in /sys/class/net/*; do
    [ "$($bb cat $link/address)" = {mac(number, end)} ] && $bb ip link set ${{link##*/}} name {name}
done""")
    return lines


def _share(out: Path) -> str:
    where = shlex.quote(str(out))
    return f"$bb mkdir -p {where}; $bb mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,access=any out {where}"


_COMMAND = f"""\
port=
for each in /sys/class/virtio-ports/*; do
    [ "$($bb cat $each/name)" = {OUTPUT_PORT} ] && port=/dev/${{each##*/}}
done
if [ -z "$port" ]; then
    echo "the guest has no port for the output" >/dev/console
else
    $bb setsid /bin/sh {CONTROL}/command </dev/null >$port 2>&1
    echo $? >{CONTROL}/exit
fi
$bb sync
$bb poweroff -f
"""


def command_script(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> str:
    """Runs the command in a directory, with these variables and no others."""
    variables = shlex.join(f"{name}={value}" for name, value in environment.items())
    return f"cd {shlex.quote(str(directory))} || exit 127\nexec env -i {variables} {shlex.join(command)}\n"
