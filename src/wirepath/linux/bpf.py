# SPDX-License-Identifier: Apache-2.0
"""Asking the kernel about BPF programs that are loaded (bpf(2)). Loading them is the core's business."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

__all__ = ["attached_programs", "program_name"]

_BPF = {"x86_64": 321}.get(platform.machine(), 280)
_GET_FD_BY_ID, _GET_INFO, _QUERY = 13, 15, 16
_MOST_PROGRAMS = 64  # the kernel's own limit of tcx
_INFO_BYTES, _NAME_OFFSET, _NAME_BYTES = 80, 64, 16  # struct bpf_prog_info up to its name

_libc = ctypes.CDLL(None, use_errno=True)


def program_name(number: int) -> str:
    """The name of the program with this id; it may be empty.

    Raises:
        OSError: it is gone (ENOENT), or asking needs CAP_SYS_ADMIN (EPERM).
    """
    fd = _call(_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))[0]
    try:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        _call(_GET_INFO, struct.pack("=IIQ", fd, _INFO_BYTES, ctypes.addressof(info)))
        return info.raw[_NAME_OFFSET : _NAME_OFFSET + _NAME_BYTES].split(b"\0")[0].decode("ascii", "replace")
    finally:
        os.close(fd)


def attached_programs(ifindex: int, attach_type: int) -> list[int]:
    """The ids of the programs that an interface has at a hook with several, in the order in which they run.

    Raises:
        OSError: this kernel does not have the hook (EINVAL), or asking needs CAP_NET_ADMIN (EPERM).
    """
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    asked = struct.pack("=IIIIQII", ifindex, attach_type, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS, 0)
    _, answer = _call(_QUERY, asked + bytes(32))
    count = struct.unpack_from("=I", answer, 24)[0]
    return [int(number) for number in ids[:count]]


def _call(command: int, asked: bytes) -> tuple[int, bytes]:
    attr = ctypes.create_string_buffer(asked, len(asked))
    result = _libc.syscall(_BPF, command, ctypes.byref(attr), len(asked))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, attr.raw
