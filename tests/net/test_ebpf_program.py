# SPDX-License-Identifier: Apache-2.0
"""A program of the user's in the engine `ebpf`: each packet's fate and mark at both hooks, and what bad ones get."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import wirepath as wp
from wirepath.bench.frames import Sender, frame, number_of
from wirepath.bench.lab import LEFT_MAC, RIGHT_MAC, Wire

ENGINE = next(engine for engine in wp.engines() if engine.name == "ebpf")
pytestmark = [
    pytest.mark.skipif(not ENGINE.usable, reason=f"cannot run here: {ENGINE.reason}"),
    pytest.mark.skipif(shutil.which("clang") is None, reason="cannot run here: there is no clang"),
]
HOOKS: tuple[dict[str, Any], ...] = (
    {"hook": "tc", "direction": "in"},
    {"hook": "xdp", "xdp_mode": "native"},
    {"hook": "xdp", "xdp_mode": "generic"},
)
over_hooks = pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: "-".join(hook.values()))
HEADERS = Path(wp.__path__[0]) / "bpf"
EXAMPLE = Path(__file__).parents[2] / "examples/tcp_flags.bpf.c"

# The fate is the destination port.
BY_PORT = """
#include "wirepath.bpf.h"
int wirepath_decide(void *ctx, struct wirepath_packet *packet)
{
    __be16 port = 0;
    if (wirepath_load(ctx, 36, &port, sizeof port) != 0 || bpf_ntohs(port) > 4)
        return WIREPATH_PASS;
    packet->mark = packet->length << 16 | bpf_ntohs(port);
    switch (bpf_ntohs(port)) {
    case 1: return WIREPATH_CAPTURE;
    case 2: return WIREPATH_TAP;
    case 3: return WIREPATH_PASS;
    default: return WIREPATH_DROP;
    }
}
"""
PORTS = (1, 2, 3, 4)
Write = Callable[[str], str]


@pytest.fixture
def program(tmp_path: Path) -> Write:
    """Writes a source, and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "my.bpf.c"
        path.write_text(text)
        return str(path)

    return write


def compiled(source: str) -> str:
    made = source.removesuffix(".c") + ".o"
    machine = f"/usr/include/{subprocess.check_output(['uname', '-m'], text=True).strip()}-linux-gnu"
    subprocess.run(
        ["clang", "-g", "-O2", "-target", "bpf", f"-I{HEADERS}", f"-I{machine}", "-c", source, "-o", made], check=True
    )
    return made


def open_on(wire: Wire, program: str, **options: Any) -> wp.Capture:
    return wp.open(wire.far.name, engine="ebpf", netns=wire.far.namespace.path, program=program, **options)


def packets(capture: wp.Capture) -> list[wp.Packet]:
    """What comes until nothing does."""
    found: list[wp.Packet] = []
    while (batch := capture.receive(1)) is not None and len(batch):
        found += [packet for packet in batch.copy() if number_of(packet.data) is not None]
    return found


@contextmanager
def receivers(wire: Wire) -> Iterator[list[socket.socket]]:
    """Of the datagrams that reach the stack, behind both hooks: one a port."""
    with ExitStack() as stack, wire.far.namespace.entered():
        address = f"link set {wire.far.name} address {RIGHT_MAC.hex(':')}"
        for command in (address, f"addr add 10.77.0.2/24 dev {wire.far.name}"):
            subprocess.run(["ip", *command.split()], check=True)
        made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in PORTS]
        for port, one in zip(PORTS, made, strict=True):
            one.bind(("10.77.0.2", port))
            one.settimeout(0)
        yield made


def arrived(receiver: socket.socket) -> int:
    count = 0
    while True:
        try:
            receiver.recv(2000)
        except BlockingIOError:
            return count
        count += 1


@over_hooks
@pytest.mark.parametrize("mode", ["tap", "take"])
def test_fates_and_marks(wire: Wire, sender: Sender, program: Write, hook: dict[str, Any], mode: str) -> None:
    """Of each packet: whether it is captured, with which mark, and whether the stack gets it."""
    with receivers(wire) as stack, open_on(wire, program(BY_PORT), mode=mode, filter="udp", **hook) as capture:
        sender.send([frame(number, 100 + number, port=PORTS[number % 4]) for number in range(40)])
        found = packets(capture)
        assert [number_of(packet.data) for packet in found] == [n for n in range(40) if n % 4 in (0, 1)]
        for packet in found:
            number = number_of(packet.data)
            assert number is not None
            assert packet.mark == (100 + number) << 16 | PORTS[number % 4]
        assert [arrived(one) for one in stack] == ([10, 10, 10, 10] if mode == "tap" else [0, 10, 10, 0])
        assert capture.stats().filtered == 20
        assert capture.stats().dropped_ring == 0


@over_hooks
def test_an_object_works_at_both_hooks(wire: Wire, sender: Sender, program: Write, hook: dict[str, Any]) -> None:
    """The column is of 32 bits."""
    made = compiled(program(BY_PORT.replace("packet->length << 16", "0xfedc0000")))
    with open_on(wire, made, **hook) as capture:
        sender.send([frame(1, port=2)])
        batch = capture.receive(10)
        assert batch is not None
        assert batch.mark is not None
        assert batch.mark.tolist() == [0xFEDC0002]


@over_hooks
def test_sees_what_the_filter_lets_through(wire: Wire, sender: Sender, program: Write, hook: dict[str, Any]) -> None:
    """Also when the filter changes; and what the filter rejects in mode take is dropped only if that was asked for."""
    with receivers(wire) as stack, open_on(wire, program(BY_PORT), mode="take", filter="udp port 1", **hook) as capture:
        sender.send([frame(port, port=port) for port in PORTS])
        assert [number_of(packet.data) for packet in packets(capture)] == [1]
        assert [arrived(one) for one in stack] == [0, 1, 1, 1]
        capture.set_filter("udp port 4")
        sender.send([frame(port, port=port) for port in PORTS])
        assert packets(capture) == []
        assert [arrived(one) for one in stack] == [1, 1, 1, 0]


def test_what_it_is_told(wire: Wire, sender: Sender, program: Write) -> None:
    """Direction, interface, the tag beside the bytes; variables begin as written, and other programs stay out."""
    text = """
    #include "wirepath.bpf.h"
    char LICENSE[] SEC("license") = "Dual BSD/GPL";
    SEC("xdp") int not_for_wirepath(struct xdp_md *ctx) { return XDP_DROP; }
    int calls = 40;
    int wirepath_decide(void *ctx, struct wirepath_packet *packet)
    {
        packet->mark = packet->ifindex << 16 | packet->outbound << 15 | packet->vlan_tci;
        return ++calls > 41 ? WIREPATH_PASS : WIREPATH_CAPTURE;
    }
    """
    with open_on(wire, program(text), direction="in", filter="vlan 7") as capture:
        sender.send([frame(number, tags=((0x8100, 7),)) for number in range(3)])
        (packet,) = packets(capture)
        assert packet.mark == capture.interfaces[0].ifindex << 16 | 7


@over_hooks
@pytest.mark.parametrize("expression", ["", "udp"], ids=["all", "filter"])
def test_functions_and_the_kernels_types(
    wire: Wire, sender: Sender, program: Write, hook: dict[str, Any], expression: str
) -> None:
    """One passed to a helper, one that is called, and a kernel structure whose fields libbpf finds (CO-RE)."""
    text = """
    #include "wirepath.bpf.h"
    #include <bpf/bpf_core_read.h>
    struct task_struct { int tgid; } __attribute__((preserve_access_index));
    static long add(__u32 index, void *sum) { *(__u32 *)sum += index; return 0; }
    __attribute__((noinline)) int plus_one(int number) { return number + 1; }
    int wirepath_decide(void *ctx, struct wirepath_packet *packet)
    {
        struct task_struct *task = (void *)bpf_get_current_task();
        __u32 sum = 0;
        bpf_loop(5, add, &sum, 0);
        packet->mark = plus_one(sum) + (BPF_CORE_READ(task, tgid) < 0);
        return WIREPATH_CAPTURE;
    }
    """
    with open_on(wire, program(text), filter=expression, **hook) as capture:
        sender.send([frame(1)])
        assert [packet.mark for packet in packets(capture)] == [11]


def test_mode_tap_says_so(wire: Wire, program: Write) -> None:
    with open_on(wire, program(BY_PORT)) as capture:
        assert any("mode=take" in note for note in capture.sources[0].notes)


REFUSED = {
    "does not compile": ("int wirepath_decide(void *ctx) { return nothing; }", r"(?s)clang says:.*nothing"),
    "has no function": ("int decide(void *ctx) { return 0; }", "has no function wirepath_decide"),
    "is static": (
        "static __attribute__((used)) int wirepath_decide(void *ctx, void *packet) { return 0; }",
        "has no function wirepath_decide",
    ),
    "the verifier": (
        """
        #include "wirepath.bpf.h"
        int wirepath_decide(void *ctx, struct wirepath_packet *packet)
        {
            return *(volatile int *)(long)packet->length;
        }
        """,
        r"(?s)my\.bpf\.c, the kernel's verifier says:.*invalid mem access",
    ),
    "another license": (
        """
        #include "wirepath.bpf.h"
        char LICENSE[] SEC("license") = "GPL";
        int wirepath_decide(void *ctx, struct wirepath_packet *packet) { return WIREPATH_PASS; }
        """,
        r"(?s)linking .*license.*Dual BSD/GPL",
    ),
    "a name of ours": (
        """
        #include "wirepath.bpf.h"
        int armed = 1;
        int wirepath_decide(void *ctx, struct wirepath_packet *packet) { return armed; }
        """,
        r"(?s)linking .*my\.bpf\.c, libbpf says:.*armed.*make it static",
    ),
}


@over_hooks
@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(wire: Wire, program: Write, hook: dict[str, Any], text: str, said: str) -> None:
    with pytest.raises(wp.OptionError, match=said):
        open_on(wire, program(text), **hook)


def test_other_files_are_refused(wire: Wire, program: Write, tmp_path: Path) -> None:
    source = program(BY_PORT)
    with pytest.raises(wp.NotFoundError, match="option program"):
        open_on(wire, source + ".c")
    with pytest.raises(wp.OptionError, match=r"\.c\) or an object"):
        open_on(wire, str(tmp_path))
    (tmp_path / "text.o").write_text("no object")
    with pytest.raises(wp.OptionError, match="-g -O2 -target bpf"):
        open_on(wire, str(tmp_path / "text.o"))


def test_without_clang(wire: Wire, program: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object needs none."""
    source = program(BY_PORT)
    made = compiled(source)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(wp.UnsupportedError, match=r"there is no clang.*libbpf-dev"):
        open_on(wire, source)
    with open_on(wire, made):
        pass


def segment(number: int, flags: int) -> bytes:
    made = bytearray(frame(number, 100))
    made[23] = 6  # the protocol
    made[46:48] = bytes((0x50, flags))
    return bytes(made)


@over_hooks
def test_example(wire: Wire, sender: Sender, hook: dict[str, Any]) -> None:
    """examples/tcp_flags.bpf.c captures what begins and ends connections, and its map has counted all."""
    flags = [0x02, 0x12, 0x10, 0x18, 0x10, 0x11, 0x04]
    with open_on(wire, str(EXAMPLE), filter="tcp", **hook) as capture:
        sender.send([segment(number, one) for number, one in enumerate(flags)])
        sender.send([LEFT_MAC + RIGHT_MAC + struct.pack(">H", 0x0800) + bytes(50)])
        batch = capture.receive(10)
        assert batch is not None
        assert batch.mark is not None
        assert batch.mark.tolist() == [one for one in flags if one & 0x07]
        bpftool = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin:/sbin")
        if bpftool is None:
            pytest.skip("cannot run here: there is no bpftool")
        counted = json.loads(subprocess.check_output([bpftool, "-j", "map", "dump", "name", "tcp_flags"]))
        counts = {one["formatted"]["key"]: sum(cpu["value"] for cpu in one["formatted"]["values"]) for one in counted}
        assert {flag: count for flag, count in counts.items() if count} == {flag: flags.count(flag) for flag in flags}
