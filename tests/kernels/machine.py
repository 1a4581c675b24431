# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line, and one run of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import guest
from .cache import TestbedError
from .initramfs import initramfs
from .kernel import Kernel
from .nics import Nic, arguments
from .tools import Tools

TIMED_OUT, NOT_RUN = 124, 125  # exit codes, as of timeout(1) and docker
_LOG_TAIL = 80  # lines
_KEPT = ("PATH", "HOME", "LANG", "TERM", "VIRTUAL_ENV", "XDG_CACHE_HOME")

_APPEND = (
    "console=ttyS0 quiet loglevel=5 panic=-1 oops=panic mitigations=off nokaslr no_timer_check tsc=reliable "
    "net.ifnames=0 apparmor=0 audit=0"
)


@dataclass(frozen=True)
class Machine:
    """A guest to be."""

    kernel: Kernel
    tools: Tools
    nics: Sequence[Nic] = ()
    mem_mb: int = 1024
    cpus: int = 1
    append: str = ""  # to the kernel's command line
    iommu: bool = False  # between the NICs and the memory, as vfio-pci needs it

    def command_line(self, control: Path, out: Path | None) -> list[str]:
        """Of QEMU. `control` holds the initramfs and takes the kernel's log; the command's output goes to fd 1."""
        return [
            str(self.tools.qemu),
            *("-L", str(self.tools.firmware), "-L", str(self.tools.root / "usr/share/seabios")),
            *("-accel", "tcg,thread=multi,tb-size=512", "-M", "q35", "-cpu", "max"),
            *("-m", str(self.mem_mb), "-smp", str(self.cpus)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none", "-monitor", "none"),
            *("-serial", f"file:{control}/kernel.log"),
            *_output_port(),
            *_share("hostroot", Path("/"), ",readonly=on,multidevs=remap"),
            *_share("control", control),
            *(_share("out", out) if out is not None else ()),
            *(("-device", "intel-iommu,aw-bits=48") if self.iommu else ()),
            *("-device", "virtio-rng-pci", "-nic", "none"),
            *arguments(list(self.nics)),
            *("-kernel", str(self.kernel.vmlinux), "-initrd", str(control / "initramfs")),
            *("-append", f"{_APPEND} {'intel_iommu=on' if self.iommu else ''} {self.append}".strip()),
        ]

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float,
        out: Path | None = None,
        environment: dict[str, str] | None = None,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
        output: Callable[[bytes], object] | None = None,
    ) -> int:
        """Boots, runs the command in the current directory and returns its exit code.

        Its output goes to `output` as it comes. TIMED_OUT and NOT_RUN are told with the end of the kernel's log.
        """
        with tempfile.TemporaryDirectory(prefix="wirepath-guest-") as made:
            control = Path(made)
            self._prepare(control, command, out, environment or {})
            ended = _run_qemu(
                self.command_line(control, out), self.tools.environment(), timeout_s, output or _to_stdout
            )
            return _verdict(control, ended, timeout_s, say)

    def _prepare(self, control: Path, command: Sequence[str], out: Path | None, more: dict[str, str]) -> None:
        shutil.copy(self.tools.busybox, control / "busybox")
        (control / "initramfs").write_bytes(initramfs(self.kernel, self.tools))
        (control / "start").write_text(guest.start_script(self.kernel, self.tools, self.nics, out))
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        own = {
            "TMPDIR": guest.TEMPORARY,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "WIREPATH_GUEST_KERNEL": self.kernel.version,
            "WIREPATH_GUEST_NICS": " ".join(f"{nic.name}={','.join(nic.interfaces)}" for nic in self.nics),
        }
        (control / "command").write_text(guest.command_script(command, Path.cwd(), kept | own | more))


def _output_port() -> list[str]:
    # A virtio port passes bytes on as they are, and much faster than a serial line, where each byte is a trap.
    return [
        *("-device", "virtio-serial-pci", "-chardev", "file,id=output,path=/dev/fd/1"),
        *("-device", f"virtserialport,chardev=output,name={guest.OUTPUT_PORT}"),
    ]


def _share(tag: str, path: Path, options: str = "") -> list[str]:
    return [
        *("-fsdev", f"local,id={tag},path={path},security_model=none{options}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]


def _to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@dataclass(frozen=True)
class _End:
    timed_out: bool
    errors: str


def _run_qemu(
    command: Sequence[str], environment: dict[str, str], timeout_s: float, output: Callable[[bytes], object]
) -> _End:
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],  # no guest outlives this process
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        timer = threading.Timer(timeout_s, process.kill)
        until = time.monotonic() + timeout_s
        timer.start()
        try:
            assert process.stdout is not None
            while data := os.read(process.stdout.fileno(), 65536):
                output(data)
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        errors.seek(0)
        return _End(process.returncode == -signal.SIGKILL and time.monotonic() >= until, errors.read())


def _verdict(control: Path, end: _End, timeout_s: float, say: Callable[[str], None]) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((control / "exit").read_text())
    log = control / "kernel.log"
    for line in (log.read_text(errors="replace") if log.is_file() else "").splitlines()[-_LOG_TAIL:]:
        say(f"| {line}")
    if end.timed_out:
        say(f"the guest did not end within {timeout_s:g} s; above is the end of its kernel's log")
        return TIMED_OUT
    said = end.errors.strip()
    say(f"the guest ended without an exit code; above is the end of its kernel's log{': ' if said else ''}{said}")
    return NOT_RUN


__all__ = ["NOT_RUN", "TIMED_OUT", "Machine", "TestbedError"]
