# SPDX-License-Identifier: Apache-2.0
"""Every path that a packet can take from a Linux network card to a program, behind one API.

>>> import wirepath as wp
>>> with wp.open("eth0", filter="tcp port 443") as capture:
...     for batch in capture:
...         print(len(batch), int(batch.origlen.sum()))
"""

from wirepath._core import Batch, CountSink, FileSink, Packet, PrintSink, Sink, TeeSink
from wirepath.batch import Flag, Hook
from wirepath.capture import Capture, open  # noqa: A004 (wp.open, as in gzip.open)
from wirepath.engines import Engine, Option, engines
from wirepath.errors import (
    BusyError,
    ClosedError,
    FileFormatError,
    FilterError,
    InterfaceGoneError,
    NoBufferError,
    NoPermissionError,
    NoSpaceError,
    NotFoundError,
    OptionError,
    RefusedError,
    SystemCallError,
    UnsupportedError,
    WirepathError,
)
from wirepath.files import FileInterface, FileSummary, PcapngWriter, PcapWriter, summarize
from wirepath.filter import Filter, compile_filter
from wirepath.flow import Flow, parse_flow
from wirepath.info import Frames, Interface, Observed, Process, SourceInfo
from wirepath.pipeline import Run, run
from wirepath.send import Sender, SendStats, Sent, open_sender, send
from wirepath.stats import Stats

__all__ = [
    "Batch",
    "BusyError",
    "Capture",
    "ClosedError",
    "CountSink",
    "Engine",
    "FileFormatError",
    "FileInterface",
    "FileSink",
    "FileSummary",
    "Filter",
    "FilterError",
    "Flag",
    "Flow",
    "Frames",
    "Hook",
    "Interface",
    "InterfaceGoneError",
    "NoBufferError",
    "NoPermissionError",
    "NoSpaceError",
    "NotFoundError",
    "Observed",
    "Option",
    "OptionError",
    "Packet",
    "PcapWriter",
    "PcapngWriter",
    "PrintSink",
    "Process",
    "RefusedError",
    "Run",
    "SendStats",
    "Sender",
    "Sent",
    "Sink",
    "SourceInfo",
    "Stats",
    "SystemCallError",
    "TeeSink",
    "UnsupportedError",
    "WirepathError",
    "compile_filter",
    "engines",
    "open",
    "open_sender",
    "parse_flow",
    "run",
    "send",
    "summarize",
]
