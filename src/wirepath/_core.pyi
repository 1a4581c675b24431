# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator, Sequence
from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

class WirepathError(Exception):
    doing: str
    """What was being done."""
    errno: int | None
    hint: str
    """What the user can do about it; may be empty."""

class SystemCallError(WirepathError, OSError): ...
class NoPermissionError(WirepathError, PermissionError): ...
class NotFoundError(WirepathError, FileNotFoundError): ...
class BusyError(WirepathError, OSError): ...
class UnsupportedError(WirepathError, RuntimeError): ...
class RefusedError(WirepathError, RuntimeError): ...
class OptionError(WirepathError, ValueError): ...
class FilterError(WirepathError, ValueError): ...
class FileFormatError(WirepathError, ValueError): ...
class NoSpaceError(WirepathError, OSError): ...
class NoBufferError(WirepathError, BufferError): ...
class InterfaceGoneError(WirepathError, OSError): ...
class ClosedError(WirepathError, ValueError): ...

def engines() -> list[dict[str, Any]]: ...
def probe(engine: str) -> tuple[bool, str]: ...
def stat_meanings() -> list[tuple[str, str]]: ...
def send_stat_meanings() -> list[tuple[str, str]]: ...
def trace_hooks() -> list[tuple[str, bool, str]]:
    """(kind, usable, why not) of each kind of hook that the instruments can use.

    Raises:
        UnsupportedError: the instruments were not built.
    """

class PollCounter:
    """Counts the NAPI polls of an interface, from when it is made until it goes.

    Raises:
        NoPermissionError: it needs CAP_BPF and CAP_PERFMON.
        UnsupportedError: this kernel does not let programs see its tracepoints, or the instruments were not built.
    """

    def __init__(self, ifindex: int, netns: int) -> None: ...
    def read(self) -> dict[str, int]:
        """``polls``, the ``packets`` they received, ``empty`` polls and those with a ``full`` budget."""

def heal_network_settings() -> int:
    """How many settings, that killed captures had left in the calling thread's network namespace, were put back."""

def network_settings_left_behind() -> list[tuple[str, str]]:
    """(place, name) of each that is still to be put back there, by who may."""

class Filter:
    """A compiled pcap-filter(7) expression."""

    @property
    def text(self) -> str: ...
    @property
    def linktype(self) -> int:
        """The LINKTYPE_ number that it was compiled for."""

    @property
    def instructions(self) -> list[tuple[int, int, int, int]]:
        """The classic BPF program: (code, jt, jf, k) each."""

    def matches(
        self, data: bytes, origlen: int | None = None, vlan_tci: int = 0, vlan_tpid: int = 0, flags: int = 0
    ) -> bool:
        """Whether a packet matches; `vlan_tpid` 0: no VLAN tag in metadata."""

def compile_filter(text: str, linktype: int = 1, snaplen: int = 262144) -> Filter:
    """Compile for packets that are all in their bytes, as in files.

    Raises:
        FilterError: the message shows the place in the text.
        UnsupportedError: libpcap is missing.
    """

def compile_live_filter(text: str, interface: str, snaplen: int = 262144) -> Filter:
    """Compile for packets of a live interface, whose VLAN tag and direction are metadata."""

def filter_ebpf(filter: Filter, hook: str) -> tuple[list[tuple[int, int, int, int, int]], list[int]]:
    """The filter as a function of eBPF for the hook xdp, tc or socket: (code, dst, src, off, imm) each.

    The second list says where the translation of each classic instruction begins, and of the rejection behind them.

    Raises:
        UnsupportedError: it asks for what the hook cannot tell, or is too long.
    """

def filter_loaded(filter: Filter, hook: str) -> dict[str, int]:
    """What this kernel makes of it: ``jited_bytes``, ``translated_bytes``, ``verified_instructions``. 0: not told.

    Raises:
        NoPermissionError: this process may not load BPF programs.
        UnsupportedError: as filter_ebpf(), or what the kernel's verifier says.
    """

def verify_filter(text: str, path: str) -> dict[str, Any]:
    """Each packet of a capture file in every machine: ``packets``, ``differing``, ``machines``, ``first``."""

def kernel_may_differ(filter: Filter) -> bool:
    """Whether the kernel's classic BPF may give another verdict than libpcap's: then it runs in the pipeline."""

def filter_machines() -> list[tuple[str, str]]:
    """(name, what it is) of each machine that can run a filter."""

class FilterMachine:
    """One of those machines, with a filter in it.

    Raises:
        NoPermissionError: this process may not load BPF programs.
        UnsupportedError: the machine does not take the program; the message has its words.
    """

    def __init__(self, name: str, filter: Filter) -> None: ...
    def judge(self, data: bytes, origlen: int | None = None, vlan_tci: int = 0, vlan_tpid: int = 0) -> tuple[bool, str]:
        """Whether it matches, and why the machine cannot be given this packet ("" if it was)."""

class Packet:
    """One packet, its bytes copied."""

    @property
    def ts(self) -> int:
        """ns since 1970-01-01T00:00:00Z."""

    @property
    def data(self) -> bytes: ...
    @property
    def caplen(self) -> int:
        """len(data)"""

    @property
    def origlen(self) -> int:
        """Bytes on the wire, without FCS and without a VLAN tag held in vlan_tci."""

    @property
    def interface(self) -> int: ...
    @property
    def interface_name(self) -> str: ...
    @property
    def linktype(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def vlan_tci(self) -> int:
        """The VLAN tag that hardware or kernel took out of the bytes; meaningful if vlan_tpid is not 0."""

    @property
    def vlan_tpid(self) -> int: ...
    @property
    def flags(self) -> int:
        """Bits of `wirepath.Flag`."""

    @property
    def mark(self) -> int | None:
        """What the user's program said of it (engine `ebpf`); None: there was none."""

    @property
    def pid(self) -> int | None:
        """The process whose socket sent it, or that it is for; 0: unknown; None: the engine does not tell."""

    @property
    def hook(self) -> int | None:
        """Where it was captured, of `wirepath.Hook`; None: the engine does not tell."""

    @property
    def netns(self) -> int | None:
        """The network namespace of that process's socket (inode number); 0: unknown; None: the engine does not tell."""

    @property
    def comments(self) -> list[str]:
        """What a pcapng file says about it."""

class Batch:
    """What one receive delivered: columns of equal length, and one block of payload.

    Columns stay as they are for as long as they are kept. Payload is there until the next receive, or for as long as a
    view of it (`payload`, `data(row)`) is kept: a kept view holds a part of the capture's ring.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Packet: ...
    def __iter__(self) -> Iterator[Packet]: ...
    @property
    def ts(self) -> NDArray[np.int64]:
        """ns since 1970-01-01T00:00:00Z."""

    @property
    def caplen(self) -> NDArray[np.uint32]:
        """Bytes captured."""

    @property
    def origlen(self) -> NDArray[np.uint32]:
        """Bytes on the wire."""

    @property
    def interface(self) -> NDArray[np.uint16]:
        """Index into `capture.interfaces`."""

    @property
    def queue(self) -> NDArray[np.uint16]: ...
    @property
    def vlan_tci(self) -> NDArray[np.uint16]: ...
    @property
    def vlan_tpid(self) -> NDArray[np.uint16]:
        """0: no tag in metadata."""

    @property
    def flags(self) -> NDArray[np.uint16]:
        """Bits of `wirepath.Flag`."""

    @property
    def mark(self) -> NDArray[np.uint32] | None:
        """What the user's program said of each packet (engine `ebpf`, option `program`); None: no such column."""

    @property
    def pid(self) -> NDArray[np.uint32] | None:
        """The process whose socket sent each packet, or that it is for; 0: unknown; None: no such column."""

    @property
    def hook(self) -> NDArray[np.uint32] | None:
        """Where each packet was captured, of `wirepath.Hook` (engine `ebpf`); None: no such column."""

    @property
    def netns(self) -> NDArray[np.uint32] | None:
        """The network namespace of that process's socket, by inode number; 0: unknown; None: no such column."""

    @property
    def offset(self) -> NDArray[np.uint64]:
        """Where each packet begins in `payload`."""

    @property
    def payload(self) -> NDArray[np.uint8]:
        """The block of payload, without a copy: packet i is payload[offset[i] : offset[i] + caplen[i]].

        Raises:
            ClosedError: the payload went back to the capture.
        """

    def data(self, row: int) -> NDArray[np.uint8]:
        """One packet's bytes, without a copy."""

    def where(self, mask: NDArray[np.bool_]) -> Batch:
        """The rows where the mask is true, over the same payload."""

    def take(self, rows: ArrayLike) -> Batch:
        """These rows, in this order, over the same payload; a negative one counts from the end."""

    def copy(self) -> Batch:
        """A batch in memory of its own."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """For pyarrow, polars, duckdb, …: header columns without a copy, payload copied as the column `data`."""

class Capture:
    def __init__(self, netns: str = "") -> None: ...
    def add(
        self,
        engine: str,
        target: str,
        filter: str,
        snaplen: int,
        promisc: bool,
        options: dict[str, str],
        take: bool,
    ) -> None: ...
    def start(self) -> None: ...
    def arrow_stream(self) -> object: ...
    def receive(self, timeout_s: float) -> tuple[str, Batch | None]: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    def set_filter(self, text: str) -> None: ...
    @property
    def filter(self) -> str: ...
    def stats(self) -> dict[str, int | None]: ...
    def frames(self) -> list[tuple[int, int, int] | None]: ...
    def sources(self) -> list[dict[str, Any]]: ...
    def observed(self) -> list[tuple[int, str, float | None, float | None, str]]: ...
    def processes(self) -> list[tuple[int, str, str, int, int]] | None: ...
    def interfaces(self) -> list[dict[str, Any]]: ...

class Sink:
    """Where packets end: given to `wirepath.run`, or written to batch by batch."""

    def write(self, batch: Batch) -> None:
        """Write every row.

        Raises:
            NoSpaceError: the disk is full; what was written before is readable.
            ClosedError: after close().
        """

    def close(self) -> None:
        """Complete it. Closing twice does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None:
        """Close it."""

class CountSink(Sink):
    """Counts packets, and keeps nothing."""

    def __init__(self) -> None: ...
    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int:
        """On the wire."""

class TeeSink(Sink):
    """Each packet to several sinks, in turn; ends them all."""

    def __init__(self, sinks: list[Sink]) -> None: ...

class FileSink(Sink):
    """Writes capture files; see `wirepath.PcapngWriter` and `wirepath.PcapWriter`."""

    def __init__(
        self,
        path: str,
        *,
        format: str | None = None,
        compression: str | None = None,
        level: int = 0,
        nanoseconds: bool = True,
        flush_after: float | None = None,
        packet_buffered: bool = False,
        rotate_bytes: int = 0,
        rotate_packets: int = 0,
        rotate_after: float = 0.0,
        rotate_aligned: bool = False,
        keep_files: int = 0,
        stop_after_files: int = 0,
        naming: str = "tcpdump",
        command: str = "",
        comments: list[str] = [],
    ) -> None: ...
    def flush(self) -> None:
        """Soon, what was taken can be read by others: the thread that writes does it next. From any thread."""

    @property
    def packets(self) -> int:
        """In files, where others can read them."""

    @property
    def bytes(self) -> int:
        """Of them, before compression."""

    @property
    def files(self) -> int:
        """Begun so far."""

    def take_completed(self) -> list[str]:
        """The names of the files that became complete since the last call, 1000 at the most."""

    @property
    def left_out(self) -> int:
        """Comments, options and blocks that the format has no place for."""

    @property
    def files_done(self) -> list[tuple[str, int, int]]:
        """(path, packets, bytes before compression) of those that are complete, the latest 1000 at the most."""

def summarize(path: str) -> dict[str, Any]: ...

class PrintSink(Sink):
    """Writes packets as text: a line each as tcpdump says it, or a JSON object each (docs/json.md)."""

    def __init__(
        self,
        fd: int = 1,
        *,
        json: bool = False,
        data: bool = False,
        time: str = "clock",
        nanoseconds: bool = False,
        link_header: bool = False,
        verbosity: int = 0,
        quiet: bool = False,
        absolute_seq: bool = False,
        checksums: bool = True,
        numbers: bool = False,
        interfaces: bool = False,
        dump: str = "none",
        line_buffered: bool = False,
        names: dict[int, str] = {},
    ) -> None:
        """What is not for JSON is as tcpdump's letters say.

        Args:
            fd: where to write; it stays open.
            json: an object each; the rest but `data` and `line_buffered` is for text.
            data: JSON: the bytes, too, in hex.
            time: clock, none, epoch, since_previous, date or since_first (tcpdump: nothing, -t to -ttttt).
            nanoseconds: else microseconds.
            link_header: -e.
            verbosity: how many -v.
            quiet: -q.
            absolute_seq: -S.
            checksums: check them where `verbosity` says them (False: -K).
            numbers: -#.
            interfaces: name each packet's interface.
            dump: none, hex, hex_link, hex_ascii, hex_ascii_link, ascii or ascii_link (-x -xx -X -XX -A -AA).
            line_buffered: nothing waits in a buffer; always so on a terminal.
            names: of interfaces by index, for a capture of `any`.
        """

    @property
    def packets(self) -> int: ...

class Pipeline:
    def __init__(
        self,
        capture: Capture,
        sink: Sink,
        packets: int | None,
        seconds: float | None,
        cpus: list[int],
        ordered: bool,
    ) -> None: ...
    def start(self) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def interrupt(self) -> None: ...
    def finish(self) -> None: ...
    @property
    def end(self) -> str: ...
    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def out_of_order(self) -> int: ...
    @property
    def cpu_ns(self) -> int: ...

class Sender:
    def __init__(self, engine: str, interface: str, options: dict[str, str], netns: str, force: bool) -> None: ...
    def send(self, batch: Batch, first: int, timeout_s: float) -> tuple[str, int]:
        """(``ok``, ``timeout`` or ``interrupted``, rows that it is through with, those before `first` counted)."""

    def drain(self, timeout_s: float) -> bool: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    def stats(self) -> dict[str, Any]: ...
    def info(self) -> dict[str, Any]: ...

class Supply:
    """What is to be sent."""

class Recording(Supply):
    """A capture file. `repeated`: it is sent more than once."""

    def __init__(self, path: str, filter: str, repeated: bool) -> None: ...

class Flow(Supply):
    """Frames that are made (`wirepath.flow.Flow.as_core`)."""

    def __init__(self, spec: dict[str, Any]) -> None: ...
    @property
    def frames_in_a_pass(self) -> int: ...

class Sending:
    """`pace` is ``top``, ``recorded``, ``pps`` or ``bps``."""

    def __init__(
        self,
        supply: Supply,
        sender: Sender,
        pace: str,
        value: float,
        packets: int | None,
        seconds: float | None,
        passes: int,
        cpu: int,
    ) -> None: ...
    def start(self) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def interrupt(self) -> None: ...
    def finish(self) -> None: ...
    @property
    def end(self) -> str: ...
    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def cut(self) -> int: ...
    @property
    def passes(self) -> int: ...
    @property
    def elapsed_ns(self) -> int: ...
    @property
    def asked_ns(self) -> int: ...
    @property
    def latest_ns(self) -> int: ...
    @property
    def cpu_ns(self) -> int: ...

def batch_of_frames(frames: list[bytes], ts: int, linktype: int) -> Batch:
    """A batch of these frames, in memory of its own."""

class PacketTracer:
    def __init__(
        self,
        filter: str,
        *,
        snaplen: int,
        limit: int,
        ring_bytes: int,
        probes: Sequence[str],
        all_functions: bool,
    ) -> None: ...
    @property
    def hooks(self) -> list[tuple[str, str, str, str, str]]: ...
    @property
    def notes(self) -> list[str]: ...
    def read(self, seconds: float) -> tuple[bytes, bytes]: ...
    def stop(self) -> None: ...
    def counts(self) -> dict[str, int]: ...
    def place_of(self, location: int) -> str: ...
    def drop_reason(self, reason: int) -> str: ...

def trace_event_layout() -> Any:
    """numpy.dtype's argument for the events of PacketTracer.read."""

def trace_judge(filter: str, packets: Sequence[bytes], linktype: int = 1) -> list[bool]:
    """The verdicts of the filter's machine in the kernel; for tests."""

def packet_line(data: bytes, *, linktype: int, origlen: int, ts: int, vlan_tci: int = 0, vlan_tpid: int = 0) -> str:
    """A packet in tcpdump's words, without a line break."""

def batch_of(
    interfaces: Sequence[tuple[str, int]],
    packets: Sequence[tuple[int, bytes, int, int, int, int, list[str]]],
) -> Batch:
    """Make a batch of packets (ts, data, origlen, row of the interfaces, vlan_tci, vlan_tpid, comments)."""

class CopyCounter:
    """Counts in the kernel what is done to known packets (native/trace/copies/). Its programs go with the object."""

    def __init__(self) -> None:
        """Load and attach what this kernel allows.

        Raises:
            NoPermissionError, UnsupportedError: no BPF program can be loaded here.
        """

    def hooks(self) -> list[tuple[str, str, str, str, str, str]]:
        """(name, role, attributed by, meaning, observed by, why it is not observed) of each row of hooks.def."""

    def count(
        self, first: int, packets: int, frame_bytes: int, receiver: tuple[int, int], sender: tuple[int, int]
    ) -> None:
        """Count until pause(). Interfaces are (inode of the namespace, ifindex)."""

    def receive_here(self) -> None:
        """From here on count the system calls and wakeups of the calling thread."""

    def leave(self) -> None:
        """Count no more system calls and wakeups; this makes none."""

    def pause(self) -> None:
        """Stop counting, without a system call."""

    def read(self) -> CopyCounts:
        """What was counted so far, cumulative."""

class CopyCounts(TypedDict):
    """By hook: calls and bytes, on account of the receiver or of the sender."""

    receiver: dict[str, tuple[int, int]]
    sender: dict[str, tuple[int, int]]
    system_calls: dict[str, int]
    """Of the receiving thread, by name."""
    interrupts: dict[int, int]
    """Of all devices, by IRQ number."""

def copy_hooks() -> list[tuple[str, str, str, str]]:
    """(name, role, attributed by, meaning) of each row of native/trace/copies/hooks.def."""

class DropReasons:
    """Counts what the kernel throws away, from its making to its stop.

    Raises:
        NoPermissionError: without CAP_BPF and CAP_PERFMON.
        UnsupportedError: this kernel has no drop reasons, or no type information.
    """

    def __init__(self) -> None: ...
    def drops(self) -> list[tuple[int, int, int, int, int, int]]:
        """(location, reason, netns, ifindex, ethertype, packets); 0: the packet no longer said."""

    def xdp_losses(self) -> list[tuple[str, int, int, int, int]]:
        """(exception, redirect or devmap; action or errno; ifindex; netns; frames)."""

    @property
    def uncounted(self) -> int:
        """Losses for whose kind the tables had no room."""

    def stop(self) -> None: ...

class SocketTable:
    """Every socket that a process has open, in every network namespace.

    Raises:
        NoPermissionError: without CAP_BPF and CAP_PERFMON.
        UnsupportedError: this kernel has no iterators over files, or no type information.
    """

    def __init__(self) -> None: ...
    def read(self) -> list[dict[str, Any]]:
        """A row for each descriptor: the fields of ``socket_record`` in native/trace/drops/records.h."""

def drop_reason_names() -> dict[int, str]:
    """Of enum skb_drop_reason in the running kernel, without the prefix."""
