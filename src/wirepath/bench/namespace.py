# SPDX-License-Identifier: Apache-2.0
"""Network namespaces without names: they live as long as this process holds them, also if it is killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wirepath.linux import netns

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_CAP_NET_ADMIN, _CAP_NET_RAW, _CAP_SYS_ADMIN = 12, 13, 21
_INSIDE = "WIREPATH_INSIDE_USER_NAMESPACE"


class Namespace:
    """A network namespace. Threads enter and leave it; sockets made and programs started inside belong to it.

    It has no name, so nothing can collide with it, and it goes with the last process, socket and `Namespace` in it.
    """

    def __init__(self, name: str) -> None:
        """`name` is for people only. Raises PermissionError without CAP_SYS_ADMIN."""
        self.name = name
        self._fd = netns.fresh()
        with self.entered():
            _set_sysctl("net/ipv6/conf/all/disable_ipv6", "1")  # no frame but what the lab sends
            _set_sysctl("net/ipv6/conf/default/disable_ipv6", "1")
        with self.routes() as routes:
            routes.link("set", index=1, state="up")

    @classmethod
    def at(cls, path: str, name: str) -> Namespace:
        """The namespace that another process holds open at `path`."""
        self = cls.__new__(cls)
        self.name = name
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return self

    @property
    def path(self) -> str:
        """A path that opens this namespace, as long as this process has it."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is inside until the end of the block."""
        with netns.entered(self._fd):
            yield

    @contextlib.contextmanager
    def routes(self) -> Iterator[IPRoute]:
        """A rtnetlink socket of this namespace."""
        from pyroute2 import IPRoute

        with self.entered():
            routes = IPRoute()
        with routes:
            yield routes

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Starts a program inside."""
        with self.entered():
            return subprocess.Popen(command, **options)

    def close(self) -> None:
        """Lets go. The kernel removes the namespace and its interfaces when nobody else has it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _set_sysctl(name: str, value: str) -> None:
    Path("/proc/sys", name).write_text(value, encoding="ascii")


def privileged() -> bool:
    """Whether this process may make network namespaces and packet sockets."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    return all(effective >> capability & 1 for capability in (_CAP_NET_ADMIN, _CAP_NET_RAW, _CAP_SYS_ADMIN))


def inside_user_namespace() -> bool:
    """Whether `enter_user_namespace` made this process."""
    return _INSIDE in os.environ


def enter_user_namespace(arguments: Sequence[str]) -> None:
    """Starts this Python again with `arguments`, as root of a user namespace of its own. Does not come back.

    Raises OSError where the kernel or its configuration forbids it.
    """
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    probe = subprocess.run([*unshare, "true"], check=False, capture_output=True, text=True)
    if probe.returncode != 0:
        raise PermissionError(probe.stderr.strip())
    command = [*unshare, sys.executable, *arguments]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})
