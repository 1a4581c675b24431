# SPDX-License-Identifier: Apache-2.0
"""Entering network namespaces (namespaces(7)): the one place that changes a thread's."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from wirepath.errors import NoPermissionError, NotFoundError, error

__all__ = ["entered", "fresh", "inside", "own", "path_of"]

_CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(netns: str) -> Path:
    """The file that opens a namespace given by name (ip-netns(8)), path or process id."""
    if netns.isdecimal():
        return Path("/proc", netns, "ns/net")
    return Path(netns) if "/" in netns else Path("/run/netns", netns)


@contextlib.contextmanager
def inside(netns: str | None) -> Iterator[None]:
    """The calling thread is in that namespace until the end of the block; None: where it is already.

    Raises:
        NotFoundError: there is no such namespace.
        NoPermissionError: entering it needs CAP_SYS_ADMIN.
    """
    if not netns:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            fd = os.open(path_of(netns), os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            stack.enter_context(entered(fd))
        except OSError as failure:
            raise _cannot_enter(netns, failure) from None
        yield


@contextlib.contextmanager
def entered(fd: int) -> Iterator[None]:
    """The calling thread is in the namespace of this descriptor until the end of the block. Raises OSError."""
    home = own()
    try:
        _call("setns", fd, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", home, _CLONE_NEWNET)
    finally:
        os.close(home)


def own() -> int:
    """A descriptor of the namespace that the calling thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def fresh() -> int:
    """A descriptor of a new namespace, which lives as long as anything holds it. Raises OSError."""
    home = own()
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            return own()
        finally:
            _call("setns", home, _CLONE_NEWNET)
    finally:
        os.close(home)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _cannot_enter(netns: str, failure: OSError) -> NoPermissionError | NotFoundError:
    doing = f"entering the network namespace {netns}: {failure.strerror}"
    if isinstance(failure, PermissionError):
        return error(NoPermissionError, doing, "This needs CAP_SYS_ADMIN: run with sudo")
    return error(NotFoundError, doing, "`ip netns` lists them")
