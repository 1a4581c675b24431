# SPDX-License-Identifier: Apache-2.0
"""The path of an interface with known taps, filters, programs and rules: each stands in its stage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

import wirepath as wp
from net.hosting import SENT, in_netns, send
from net.one_verdict import TC_ACT_OK, XDP_PASS, tc_ingress, xdp
from unit.command_line import COMMAND, wirepath
from wirepath import path
from wirepath.bench.lab import RIGHT_ADDRESS, Wire
from wirepath.path import Stage

ETH_P_ALL = 3
AF_XDP = next(engine for engine in wp.engines() if engine.name == "af_xdp")


def read(wire: Wire, **how: str) -> path.Path:
    return path.read(wire.far.name, netns=wire.far.namespace.path, **how)  # type: ignore[arg-type]


def facts(stage: Stage) -> list[str]:
    return [f"{fact.name}: {fact.text}" for fact in stage.facts]


def test_stages_in_the_order_of_the_kernel(host: Wire) -> None:
    found = read(host)
    assert [stage.name for stage in found.stages] == [
        "ring", "irq", "napi", "xdp", "skb", "gro", "generic_xdp", "taps", "tc", "netfilter", "routing", "socket",
        "application",
    ]  # fmt: skip
    assert all(stage.facts and stage.reads and stage.writes and stage.command for stage in found.stages)
    assert all(stage.taken is None for stage in found.stages)


def test_quiet_interface(host: Wire) -> None:
    """What is not there is idle, and not unknown."""
    found = read(host)
    idle = {stage.name for stage in found.stages if stage.idle}
    assert {"xdp", "gro", "generic_xdp", "taps", "tc", "socket", "application"} <= idle
    assert {"ring", "napi", "routing"}.isdisjoint(idle)
    assert ("skb" in idle) == (host.driver == "veth"), "what crosses a veth is the sender's own"
    assert found.stage("ring").title == ("veth pair" if host.driver == "veth" else "NIC ring")
    assert ("irq" in idle) == (host.driver == "veth")
    assert f"{RIGHT_ADDRESS}/24" in facts(found.stage("routing"))[0]


def test_ring_of_a_nic(host: Wire) -> None:
    """What ethtool says of it."""
    if host.driver == "veth":
        pytest.skip("cannot run here: a veth has no ring")
    told = in_netns(host, "ethtool", "-g", host.far.name)
    descriptors = [line.split()[1] for line in told.stdout.splitlines() if line.startswith("RX:")]
    ring = facts(read(host).stage("ring"))
    assert ring[0].startswith(f"driver: {host.driver} ")
    assert f"ring: {int(descriptors[1]):,} descriptors (at most {int(descriptors[0]):,})" in ring
    assert any(fact.startswith("IRQ ") for fact in facts(read(host).stage("irq")))


@contextlib.contextmanager
def tcpdump(wire: Wire, *args: str) -> Iterator[subprocess.Popen[str]]:
    with wire.far.namespace.entered():
        dumping = subprocess.Popen(
            ["tcpdump", "-n", *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    assert dumping.stderr is not None
    with dumping, dumping.stderr as lines:
        while "listening on" not in lines.readline():
            assert dumping.poll() is None
        yield dumping
        dumping.send_signal(signal.SIGINT)


@pytest.mark.parametrize("engine", ["tpacket_v3", "socket", "pcap"])
def test_our_engines_are_taps(host: Wire, engine: str) -> None:
    with wp.open(host.far.name, engine=engine, netns=host.far.namespace.path) as capture:
        capture.receive(0.01)
        taps = read(host).stage("taps")
        (tap,) = facts(taps)
        assert tap.startswith(f"{Path('/proc/self/comm').read_text().strip()}[{os.getpid()}]: ")
        assert f"every protocol on {host.far.name}" in tap
        assert tap.endswith(", 0 dropped")
        assert ("no filter" in tap) == (engine != "pcap"), "libpcap attaches one that accepts all"
        expected = {
            "tpacket_v3": "TPACKET_V3 ring, 64 blocks of 512 KiB",
            "socket": "buffer of ",
            "pcap": "TPACKET_V3 ring, ",
        }
        assert expected[engine] in tap
    assert read(host).stage("taps").idle


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="cannot run here: tcpdump is not installed")
def test_tcpdump_is_a_tap(host: Wire) -> None:
    with tcpdump(host, "-i", host.far.name, "-w", "/dev/null", "udp") as one, tcpdump(host, "-i", "any") as other:
        found = facts(read(host).stage("taps"))
    by_pid = {line.partition(": ")[0]: line for line in found}
    assert set(by_pid) == {f"tcpdump[{one.pid}]", f"tcpdump[{other.pid}]"}
    assert f"on {host.far.name}, TPACKET_V3 ring" in by_pid[f"tcpdump[{one.pid}]"]
    assert "a filter" in by_pid[f"tcpdump[{one.pid}]"]
    assert "on all interfaces" in by_pid[f"tcpdump[{other.pid}]"]


def test_full_tap_has_missed_packets(host: Wire) -> None:
    with (
        host.far.namespace.entered(),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as tap,
    ):
        listener.bind((RIGHT_ADDRESS, 9))  # else this end would answer, and the tap would see that
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        tap.bind((host.far.name, ETH_P_ALL))
        send(host)
        taps = read(host).stage("taps")
        tap.setblocking(False)
        kept = 0
        with contextlib.suppress(BlockingIOError):
            while tap.recv(2048):
                kept += 1
    assert (taps.missed, taps.lost) == (SENT - kept, None)
    assert facts(taps)[0].endswith(f"no filter, {SENT - kept} dropped")


@pytest.mark.wire(mtu=1500)
@pytest.mark.skipif(not AF_XDP.usable, reason=f"cannot run here: {AF_XDP.reason}")
@pytest.mark.parametrize(("mode", "stage"), [("native", "xdp"), ("generic", "generic_xdp")])
def test_af_xdp_and_its_program(host: Wire, mode: str, stage: str) -> None:
    branches = [branch for branch in read(host).stage(stage).branches if branch.engine == "af_xdp"]
    if not any(branch.works for branch in branches):
        pytest.skip(f"cannot run here: {branches[0].why}")
    with wp.open(host.far.name, engine="af_xdp", netns=host.far.namespace.path, xdp_mode=mode) as capture:
        capture.receive(0.01)
        found = read(host).stage(stage)
    assert not found.idle
    program, queue = facts(found)[:2]
    assert program.startswith(f"{mode}: program take")
    assert queue.startswith("AF_XDP queue 0: ")
    assert f"[{os.getpid()}]: " in queue
    assert "copy, rings of " in queue


@pytest.mark.wire(mtu=1500)
def test_attached_programs(host: Wire) -> None:
    with xdp(host.far, XDP_PASS), tc_ingress(host.far, TC_ACT_OK):
        found = read(host)
    program = next(stage for stage in found.stages if stage.name in ("xdp", "generic_xdp") and not stage.idle)
    assert facts(program)[0].partition(": ")[2].startswith("program verdict, id ")
    assert facts(found.stage("tc"))[0].startswith("bpf, pref 1: program verdict, id ")
    if host.driver == "veth":
        assert facts(found.stage("ring"))[2].startswith("ring: 256 pointers a queue, emptied by NAPI")
    assert all(branch.works is False for branch in found.stage("xdp").branches), "somebody else's program is there"


@pytest.mark.skipif(shutil.which("nft") is None, reason="cannot run here: nft is not installed")
def test_rules(host: Wire) -> None:
    rules = "add table inet t; add chain inet t c { type filter hook input priority -5; policy drop; }"
    with host.far.namespace.entered():
        made = subprocess.run(["nft", rules], check=False, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"cannot run here: {made.stderr.splitlines()[0]}")
    netfilter = read(host).stage("netfilter")
    assert not netfilter.idle
    assert "input: inet t c, priority -5, policy drop" in facts(netfilter)


@pytest.mark.parametrize(
    ("name", "make", "woken"),
    [
        ("lo", "link set lo up", "none: the sending CPU"),
        ("br0", "link add br0 type bridge", "none of its own: the softirq of the interface below"),
        ("tap0", "tuntap add dev tap0 mode tap", "none: the program's own system call"),
    ],
)
def test_what_is_no_hardware(host: Wire, name: str, make: str, woken: str) -> None:
    """Only what leaves an sk_buff to another CPU or moment raises a softirq for it, and only tun copies."""
    made = in_netns(host, "ip", *make.split())
    if made.returncode != 0:
        pytest.skip(f"cannot run here: {made.stderr.splitlines()[0]}")
    found = path.read(name, netns=host.far.namespace.path)
    assert found.stage("irq").idle
    assert facts(found.stage("irq"))[0].startswith(f"interrupt: {woken}")
    assert found.stage("napi").idle == (name != "lo")
    assert found.stage("napi").title == ("backlog" if name == "lo" else "NAPI poll")
    assert ("with a copy" in found.stage("ring").writes) == (name == "tap0")


@pytest.mark.parametrize(("everywhere", "here", "forwards"), [("0", "1", "nothing"), ("1", "0", "IPv6")])
def test_ipv6_is_forwarded_from_all_interfaces_or_none(host: Wire, everywhere: str, here: str, forwards: str) -> None:
    """An interface's own setting makes a router of it for its neighbours, and forwards nothing."""
    settings = Path("/proc/sys/net/ipv6/conf")
    with host.far.namespace.entered():
        (settings / "all/disable_ipv6").write_text("0")
        (settings / "all/forwarding").write_text(everywhere)
        (settings / host.far.name / "forwarding").write_text(here)
    assert f"forwards: {forwards}" in facts(read(host).stage("routing"))


def test_listeners(host: Wire) -> None:
    with host.far.namespace.entered(), socket.create_server((RIGHT_ADDRESS, 0)):
        found = read(host)
    assert "tcp: 1 listener" in facts(found.stage("socket"))
    assert f"[{os.getpid()}]" in facts(found.stage("application"))[0]


def test_port_of_a_bridge(host: Wire) -> None:
    with host.far.namespace.routes() as routes:
        routes.link("add", ifname="br0", kind="bridge")
        host.far.set(master=routes.link_lookup(ifname="br0")[0])
    found = read(host)
    assert [stage.name for stage in found.stages][8:11] == ["tc", "bridge", "netfilter"]
    assert found.stage("bridge").title == "port of br0"


# --- engines


@pytest.mark.parametrize(("engine", "leaves"), [("tpacket_v3", "taps"), ("socket", "taps"), ("pcap", "taps")])
def test_way_to_an_engine(host: Wire, engine: str, leaves: str) -> None:
    found = read(host, engine=engine)
    names = [stage.name for stage in found.stages]
    way = [stage.name for stage in found.stages if stage.taken]
    assert way == [*names[: names.index(leaves) + 1], "application"]


@pytest.mark.wire(mtu=1500)
@pytest.mark.skipif(not AF_XDP.usable, reason=f"cannot run here: {AF_XDP.reason}")
def test_way_to_af_xdp(host: Wire) -> None:
    """veth has native XDP, but no zero-copy."""
    if host.driver != "veth":
        pytest.skip("cannot run here: it is about veth")
    found = read(host, engine="af_xdp")
    assert (found.mode, found.works) == ("native XDP, copy", True)
    assert [stage.name for stage in found.stages if stage.taken] == ["ring", "irq", "napi", "xdp", "application"]


def test_no_such_engine(host: Wire) -> None:
    with pytest.raises(wp.OptionError, match="no engine replay that captures from interfaces"):
        read(host, engine="replay")


def test_copies_that_were_measured_here(host: Wire, tmp_path: Path) -> None:
    calls = {"value": 1.0, "how": "measured", "detail": ""}
    one = {"engine": "tpacket_v3", "mode": "default", "size": 200,
           "functions": [{"function": "skb_copy_bits", "calls": calls}]}  # fmt: skip
    file = tmp_path / "copies.json"
    file.write_text(json.dumps({"v": 1, "measurements": [one]}))
    found = path.read(host.far.name, netns=host.far.namespace.path, copies=path.measured_copies(str(file)))
    copies = {copy.whom: copy.calls for copy in found.stage("taps").copies}
    assert (copies["tpacket_v3"].value, copies["tpacket_v3"].how) == (1.0, "measured")
    assert copies["pcap"].how in ("reference", "unknown")
    file.write_text("{}")
    with pytest.raises(wp.FileFormatError, match="wirepath copies --json"):
        path.measured_copies(str(file))


# --- the command


def at(wire: Wire) -> tuple[str, ...]:
    return (wire.far.name, "--netns", wire.far.namespace.path)


def test_tree(host: Wire) -> None:
    text = wirepath("path", *at(host), "--engine", "pcap", "--commands").stdout
    found = read(host)
    heads = [line for line in text.splitlines() if line.startswith(("●", "○"))]
    assert [head[2:].partition(" ─")[0] for head in heads] == [stage.title for stage in found.stages]
    assert "not on that way" in heads[-2]
    assert "not on that way" not in heads[-1]
    assert "──▶ pcap" in text
    assert all(stage.command.split()[0] in text for stage in found.stages)


def test_json(host: Wire) -> None:
    told = json.loads(wirepath("path", *at(host), "--json").stdout)
    assert told["v"] == 1
    assert [stage["name"] for stage in told["stages"]] == [stage.name for stage in read(host).stages]
    assert {branch["engine"] for stage in told["stages"] for branch in stage["branches"]} == {
        engine.name for engine in wp.engines() if engine.target == "interface"
    }


def test_counters_move(host: Wire) -> None:
    watching = subprocess.Popen(
        [*COMMAND, "path", *at(host), "--watch", "--interval", "0.2", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    before = json.loads(watching.stdout.readline())
    send(host)
    time.sleep(0.3)
    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    lost = [{stage["name"]: stage["lost"] for stage in told["stages"]}["socket"]
            for told in (before, json.loads(out.splitlines()[-1]))]  # fmt: skip
    assert lost[1] - lost[0] == SENT, "nobody listens at their port"


def test_picture_has_every_stage(host: Wire, tmp_path: Path) -> None:
    svg, html = tmp_path / "path.svg", tmp_path / "path.html"
    wirepath("path", *at(host), "--engine", "tpacket_v3", "--svg", svg, "--html", html)
    found = read(host)
    texts = ["".join(element.itertext()) for element in ET.fromstring(svg.read_text()).iter()]
    assert {stage.title for stage in found.stages} <= set(texts)
    assert {branch.engine for stage in found.stages for branch in stage.branches} <= set(texts)
    page = html.read_text()
    assert svg.read_text().splitlines()[1] in page
    assert all(f"<code>{stage.command.split()[0]}" in page for stage in found.stages)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", ""), "it needs nothing from elsewhere"
