# SPDX-License-Identifier: Apache-2.0
"""Writing capture files."""

import os
from typing import Any

from wirepath._core import FileSink

__all__ = ["FileSink", "PcapWriter", "PcapngWriter"]

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
