# SPDX-License-Identifier: Apache-2.0
"""Writing capture files, and what they are. Reading is `wirepath.open`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wirepath import _core
from wirepath._core import FileSink

__all__ = ["FileInterface", "FileSink", "FileSummary", "PcapWriter", "PcapngWriter", "summarize"]

Target = str | os.PathLike[str]


class PcapngWriter(FileSink):
    """Writes pcapng: nanoseconds, interfaces, comments and statistics are in the file.

    Args:
        path: the file; ``-``: standard output, refused if it is a terminal. ``.gz`` and ``.zst`` compress. With
            ``rotate_after`` it may hold strftime(3) conversions.

    What follows may be given by name, and has defaults:
        compression: none, gzip or zstd, whatever the name's end; level: of the compression.
        flush_after: what was written can be read by others after so many seconds (1; a pipe's reader waits 10 ms).
        packet_buffered: at once, with each batch that arrives.
        rotate_bytes, rotate_packets, rotate_after (seconds): a new file begins when one of these is reached;
        rotate_aligned: at multiples of rotate_after on the clock, such as each full hour.
        keep_files: older ones are deleted. stop_after_files: the run ends when so many are complete.
        naming: tcpdump (NAME, NAME1, NAME2) or dumpcap (NAME_00001_20261123120000.pcapng).
        command: run as ``command FILE`` for each file that is complete; not waited for.
        comments: about the whole capture.

    Raises:
        OptionError: of what does not fit together. What the disk says is raised where the writer is used.
    """

    def __init__(self, path: Target, **options: Any) -> None:
        super().__init__(os.fspath(path), format="pcapng", **options)


class PcapWriter(FileSink):
    """Writes pcap, which every program reads. It takes what PcapngWriter takes, but for ``comments``.

    Args:
        path: the file, as there.
        nanoseconds: False writes the format of microseconds, which older programs read.
        options: as there.
    """

    def __init__(self, path: Target, *, nanoseconds: bool = True, **options: Any) -> None:
        super().__init__(os.fspath(path), format="pcap", nanoseconds=nanoseconds, **options)


@dataclass(frozen=True)
class FileInterface:
    """An interface that a file describes, and what became of its packets."""

    name: str
    description: str
    linktype: int
    """A LINKTYPE_ number."""
    snaplen: int
    """Bytes; 0: no limit."""
    filter: str
    os: str
    hardware: str
    speed_bps: int
    """0: unknown."""
    mac: bytes
    """Empty: unknown."""
    packets: int
    """In the file."""
    bytes: int
    """Captured, of those."""
    received: int | None
    """By the interface, as the file says; None, here and below: it does not say."""
    dropped_interface: int | None
    filter_accepted: int | None
    dropped_os: int | None
    delivered: int | None


@dataclass(frozen=True)
class FileSummary:
    """What a capture file is: capinfos(1)'s facts."""

    format: str
    """``pcap`` or ``pcapng``."""
    variant: str
    """Of pcap: ``nanoseconds`` or ``modified``; empty: the plain one."""
    big_endian: bool
    compression: str
    """``gzip``, ``zstd`` or empty."""
    file_bytes: int
    plain_bytes: int
    """After decompression, as far as it could be read."""
    packets: int
    bytes: int
    """Captured."""
    original_bytes: int
    """On the wire."""
    cut_packets: int
    """Packets of which less was captured than was on the wire."""
    packets_without_time: int
    least_caplen: int
    most_caplen: int
    first_ts: int | None
    """The earliest, in ns since 1970-01-01T00:00:00Z; None: no packet has a time."""
    last_ts: int | None
    in_order: bool
    """No packet is earlier than the one before it."""
    sections: int
    """Of pcapng."""
    comments: int
    """On sections, interfaces and packets."""
    section_comments: tuple[str, ...]
    section_texts: Mapping[str, str]
    """What the first section says: ``hardware``, ``os``, ``application``."""
    blocks: Mapping[int, int]
    """How many of each type that are not packets."""
    unknown_blocks: int
    """Those among them whose type is not known."""
    damage: str | None
    """What is wrong at which byte; the rest is of what stands before it. None: nothing."""
    interfaces: tuple[FileInterface, ...]


def summarize(path: str | os.PathLike[str]) -> FileSummary:
    """Read a capture file to its end, and say what it is.

    Raises:
        FileFormatError: it is no capture file.
        NotFoundError, NoPermissionError: it cannot be opened.
    """
    facts: dict[str, Any] = _core.summarize(os.fspath(path))
    facts["interfaces"] = tuple(FileInterface(**interface) for interface in facts["interfaces"])
    facts["section_comments"] = tuple(facts["section_comments"])
    return FileSummary(**facts)
