# SPDX-License-Identifier: Apache-2.0
"""Losses made on purpose: each stands in its own line of the ledger, with the exact count, and in no other."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

import wirepath as wp
from net.hosting import SENT, frames, in_netns, send
from net.one_verdict import TC_ACT_SHOT, XDP_ABORTED, XDP_DROP, tc_ingress, xdp
from unit.command_line import COMMAND
from wirepath.bench.frames import Sender
from wirepath.bench.lab import RIGHT_ADDRESS, Wire
from wirepath.drops import Ledger, Report
from wirepath.errors import WirepathError
from wirepath.linux.sysfs import Sysfs
from wirepath.path import read
from wirepath.path.diagnostics import owners_by_inode, read_by_netlink
from wirepath.path.sockets import SocketReader

ETH_P_ALL, SO_ATTACH_FILTER, SO_SNDBUFFORCE = 3, 26, 32


def _why_not(make: object) -> str:
    try:
        made = make()  # type: ignore[operator]
    except WirepathError as error:
        return str(error)
    if hasattr(made, "close"):
        made.close()
    return ""


def _reasons_refused() -> str:
    from wirepath.drops import ReasonWatch

    return _why_not(ReasonWatch)


def _table_refused() -> str:
    from wirepath import _core

    return _why_not(_core.SocketTable)


needs_reasons = pytest.mark.skipif(bool(_reasons_refused()), reason=f"cannot run here: {_reasons_refused()}")
needs_table = pytest.mark.skipif(bool(_table_refused()), reason=f"cannot run here: {_table_refused()}")


@pytest.fixture
def ledger(host: Wire) -> Iterator[Ledger]:
    with Ledger(host.far.name, netns=host.far.namespace.path) as made:
        yield made


def lost(report: Report) -> dict[str, int]:
    """By kind of counter: what was lost, each packet once."""
    found: dict[str, int] = {}
    for line in report.lines:
        if line.lost:
            found[line.counter.kind] = found.get(line.counter.kind, 0) + (line.since or 0)
    return found


def counted_again(report: Report) -> dict[str, int]:
    return {line.counter.kind: line.since or 0 for line in report.moved if line.counter.loss.again}


def reasons(report: Report) -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in report.reasons or ():
        found[reason.reason] = found.get(reason.reason, 0) + reason.packets
    return found


def test_nothing_lost(host: Wire, ledger: Ledger) -> None:
    with host.far.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((RIGHT_ADDRESS, 9))
        send(host, 50)  # more would not fit into its buffer, where a driver's are large
        report = ledger.report()
    assert report.lost == 0
    assert lost(report) == {}
    assert report.seconds > 0


@needs_table
def test_full_ring(host: Wire, ledger: Ledger) -> None:
    """A ring that nobody reads: its counter is read where the kernel has it, and stays there for who owns it."""
    options = {"block_size": "65536", "block_nr": "2"}
    with (
        host.far.namespace.entered(),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        wp.open(host.far.name, engine="tpacket_v3", snaplen=2048, **options) as capture,
    ):
        listener.bind((RIGHT_ADDRESS, 9))
        assert capture.receive(0.01) is None
        send(host, 2000, 1000)
        listener.setblocking(False)
        while True:
            try:
                listener.recv(2048)
            except BlockingIOError:
                break
        report = ledger.report()
        (ring,) = [line for line in report.moved if line.counter.kind == "ring.tpacket"]
        stats = capture.stats()
        assert ring.since == stats.dropped_ring
        assert ring.since > 0
        assert f"[{os.getpid()}]" in ring.counter.of
        assert report.missed == ring.since
        assert set(lost(report)) <= {"socket.drops"}, "the packets themselves went on to a socket"


def test_full_socket(host: Wire, ledger: Ledger) -> None:
    with host.far.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.bind((RIGHT_ADDRESS, 9))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send(host)
        report = ledger.report()
        full.setblocking(False)
        kept = 0
        with contextlib.suppress(BlockingIOError):
            while full.recv(2048):
                kept += 1
    assert kept > 0
    assert lost(report) == {"socket.drops": SENT - kept}
    assert counted_again(report) == {"protocol.udp_buffer": SENT - kept, "protocol.udp_errors": SENT - kept}
    (line,) = [line for line in report.moved if line.lost]
    assert f"[{os.getpid()}] udp {RIGHT_ADDRESS}:9" in line.counter.of
    if report.reasons is not None:
        assert reasons(report)["SOCKET_RCVBUFF"] == SENT - kept


def test_socket_that_is_gone_keeps_its_line(host: Wire, ledger: Ledger) -> None:
    with host.far.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.bind((RIGHT_ADDRESS, 9))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        send(host)
        before = lost(ledger.report())
    after = ledger.report()
    assert lost(after) == before
    assert [line.gone for line in after.lines if line.lost] == [True]


def full_socket() -> socket.socket:
    full = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    full.bind((RIGHT_ADDRESS, 9))
    return full


def test_socket_that_is_opened_again_begins_anew(host: Wire) -> None:
    """The same program at the same address: another socket, which has lost less."""
    with host.far.namespace.entered():
        full = full_socket()
        send(host)
        with Ledger(host.far.name) as ledger:
            full.close()
            with full_socket():
                send(host, 30)
                report = ledger.report()
    assert 0 < report.lost <= 30
    assert lost(report) == {"socket.drops": report.lost}


def test_interface_that_goes_and_comes_back(host: Wire) -> None:
    with host.far.namespace.routes() as routes:
        routes.link("add", ifname="br0", kind="bridge")
        with Ledger("br0", netns=host.far.namespace.path) as ledger:
            assert "br0" not in ledger.report().missing
            routes.link("del", index=routes.link_lookup(ifname="br0")[0])
            gone = ledger.report()
            routes.link("add", ifname="br0", kind="bridge")
            back = ledger.report()
    assert gone.missing["br0"] == "it is gone"
    assert "br0" not in back.missing
    assert (gone.lost, back.lost) == (0, 0)


@pytest.mark.wire(mtu=1500)
def test_xdp_drop(host: Wire, ledger: Ledger) -> None:
    """Some drivers count it. Where nobody does, it says so."""
    with xdp(host.far, XDP_DROP):
        mode = "generic" if read(host.far.name, netns=host.far.namespace.path).stage("xdp").idle else "native"
        send(host)
        report = ledger.report()
    assert report.xdp in (None, ())
    unknown = [(line.counter.kind, line.counter.name) for line in report.lines if line.counter.value is None]
    if unknown:
        assert unknown == [("xdp.dropped", f"{mode} XDP")]
        assert host.driver != "veth"
        assert lost(report) == {}
    else:
        assert lost(report) == {"xdp.dropped": SENT}
    if mode == "generic":
        found = reasons(report)
        assert SENT in (found.get("XDP"), found.get("NOT_SPECIFIED")), "older kernels do not specify it"


@needs_reasons
@pytest.mark.wire(mtu=1500)
def test_xdp_aborted(host: Wire, ledger: Ledger) -> None:
    """The driver counts it as any other XDP drop; the tracepoint knows better."""
    with xdp(host.far, XDP_ABORTED):
        send(host)
        report = ledger.report()
    assert report.xdp is not None
    assert [(loss.kind, loss.detail, loss.interface, loss.frames) for loss in report.xdp] == [
        ("exception", "XDP_ABORTED", host.far.name, SENT)
    ]


def test_tc_drop(host: Wire, ledger: Ledger) -> None:
    with tc_ingress(host.far, TC_ACT_SHOT):
        assert lost(ledger.report()) == {}
        send(host)
        report = ledger.report()
    assert lost(report) == {"tc.dropped": SENT}
    assert counted_again(report) == {}
    if report.reasons is not None:
        assert reasons(report)["TC_INGRESS"] == SENT


def test_tc_action_drop(host: Wire, ledger: Ledger) -> None:
    """What an action drops is in the qdisc's counter, too."""
    for command in (
        f"qdisc add dev {host.far.name} clsact",
        f"filter add dev {host.far.name} ingress matchall action drop",
    ):
        refused = in_netns(host, "tc", *command.split()).stderr
        if refused:
            pytest.skip(f"cannot run here: {refused.splitlines()[0]}")
    ledger.report()
    send(host)
    report = ledger.report()
    assert lost(report) == {"tc.dropped": SENT}
    assert counted_again(report) == {"tc.action": SENT}


def nft_rule(wire: Wire) -> str:
    if shutil.which("nft") is None:
        return "nft is not installed"
    chain = "add chain inet t c { type filter hook input priority 0; }"
    rules = f"add table inet t; {chain}; add rule inet t c udp dport 9 counter drop"
    return in_netns(wire, "nft", rules).stderr


def iptables_rule(wire: Wire) -> str:
    if shutil.which("iptables-legacy") is None:
        return "iptables-legacy is not installed"
    return in_netns(wire, "iptables-legacy", "-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP").stderr


@pytest.mark.parametrize("make_rule", [nft_rule, iptables_rule])
def test_netfilter_drop(host: Wire, ledger: Ledger, make_rule: object) -> None:
    refused = make_rule(host)  # type: ignore[operator]
    if refused:
        pytest.skip(f"cannot run here: {refused.splitlines()[0]}")
    send(host)
    report = ledger.report()
    assert lost(report) == {"netfilter.rule": SENT}
    assert counted_again(report) == {}
    if report.reasons is not None:
        assert reasons(report)["NETFILTER_DROP"] == SENT


def test_rule_without_a_counter_is_unknown(host: Wire, ledger: Ledger) -> None:
    """Also one whose counter does not count just what it drops."""
    if nft_rule(host):
        pytest.skip("cannot run here: no nf_tables")
    for rule in ("udp dport 10 drop", "counter udp dport 11 drop", "limit rate 5/second counter drop"):
        assert in_netns(host, "nft", f"add rule inet t c {rule}").returncode == 0
    rules = [line.counter for line in ledger.report().lines if line.counter.kind == "netfilter.rule"]
    assert [rule.value for rule in rules] == [0, None, None, 0]
    assert all("counter" in rule.why for rule in rules if rule.value is None)


def test_no_socket(host: Wire, ledger: Ledger) -> None:
    """Nobody listens at that port."""
    send(host)
    report = ledger.report()
    assert lost(report) == {"protocol.udp_noport": SENT}
    if report.reasons is not None:
        assert reasons(report)["NO_SOCKET"] == SENT


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="cannot run here: it takes two CPUs")
def test_full_backlog(host: Wire, ledger: Ledger) -> None:
    """The packets are given to another CPU, which a slow filter keeps busy."""
    cpus = sorted(os.sched_getaffinity(0))
    with host.far.namespace.entered(), Sysfs(mounted=False) as sysfs, contextlib.ExitStack() as opened:
        (sysfs.device(host.far.name) / "queues/rx-0/rps_cpus").write_text(f"{1 << cpus[1]:x}", encoding="ascii")
        for _ in range(64):
            tap = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
            reject_slowly(tap)
            tap.bind((host.far.name, ETH_P_ALL))
        os.sched_setaffinity(0, {cpus[0]})
        try:
            with Sender(host.near) as sender:
                # Packets in the backlog count as not yet sent: by default it would wait for 300 of them.
                sender._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 32 << 20)
                sender.send(frames(host, 5_000))
        finally:
            os.sched_setaffinity(0, set(cpus))
        until = time.monotonic() + 10
        while host.sent().delivered + host.sent().dropped_backlog < 5_000 and time.monotonic() < until:
            time.sleep(0.05)
        report = ledger.report()
    refused = host.sent().dropped_backlog
    assert refused > 0
    found = lost(report)
    assert found.pop("backlog.dropped") == refused
    assert counted_again(report).get("driver.dropped") == refused
    assert set(found) <= {"protocol.udp_noport"}, "those that came through found nobody"


def reject_slowly(tap: socket.socket) -> None:
    """A classic filter that reads the packet a thousand times and then rejects it."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x20, 0, 0, 0) * 1000 + struct.pack("=HBBI", 6, 0, 0, 0))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(code))
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


# --- who has which socket


@needs_table
def test_both_ways_to_list_sockets_agree(host: Wire) -> None:
    """The kernel's own diagnostics are the oracle of our program."""
    with contextlib.ExitStack() as opened, host.far.namespace.entered():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            one = opened.enter_context(socket.socket(socket.AF_INET, kind))
            one.bind((RIGHT_ADDRESS, 0))
            if kind == socket.SOCK_STREAM:
                one.listen()
        six = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        six.bind(("::", 777))
        tap = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        tap.bind((host.far.name, ETH_P_ALL))
        seen = {one.inode: one for one in SocketReader().read().sockets}
        told = {one.inode: one for one in read_by_netlink(owners_by_inode()) if one.inode}
    assert len(seen) == 4
    assert seen.keys() == told.keys()
    for inode, one in seen.items():
        other = told[inode]
        for field in (
            "family",
            "type",
            "protocol",
            "listening",
            "local",
            "remote",
            "ifindex",
            "drops",
            "owners",
            "tap",
        ):
            assert getattr(one, field) == getattr(other, field), field


# --- the command


def run(wire: Wire, *args: str) -> subprocess.CompletedProcess[str]:
    at = [wire.far.name, "--netns", wire.far.namespace.path]
    return subprocess.run([*COMMAND, "drops", *at, *args], check=False, capture_output=True, text=True, timeout=60)


def test_command_says_what_helps(host: Wire) -> None:
    with host.far.namespace.entered():
        watching = subprocess.Popen([*COMMAND, "drops", host.far.name, "--watch", "--interval", "0.2", "--json"],
                                    stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert (first["v"], first["interface"], first["lost"]) == (1, host.far.name, 0)
    send(host)
    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    last = json.loads(out.splitlines()[-1])
    moved = {line["name"]: line for line in last["lines"] if line["since"] and line["loses"] and not line["counted_by"]}
    assert list(moved) == ["Udp.NoPorts"]
    line = moved["Udp.NoPorts"]
    assert (line["since"], line["stage"]) == (SENT, "protocol")
    assert "listens" in line["meaning"]
    assert line["remedy"]


def test_fail_on_drop(host: Wire) -> None:
    assert run(host, "--fail-on-drop", "--seconds", "0.1").returncode == 0
    args = ["drops", host.far.name, "--netns", host.far.namespace.path, "--fail-on-drop", "--watch", "--json"]
    watching = subprocess.Popen([*COMMAND, *args], stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    watching.stdout.readline()
    send(host)
    watching.send_signal(signal.SIGTERM)
    watching.communicate(timeout=20)
    assert watching.returncode == 3


def test_what_moves_is_explained(host: Wire) -> None:
    at = [host.far.name, "--netns", host.far.namespace.path]
    watching = subprocess.Popen(
        [*COMMAND, "drops", *at, "--watch", "--interval", "0.2"], stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    watching.stdout.readline()
    send(host)
    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=20)
    assert watching.returncode == 0
    assert "Nobody listens at that UDP port. Start the program, or look who sends." in out


def test_no_such_interface(host: Wire) -> None:
    asked = subprocess.run([*COMMAND, "drops", "nope0"], check=False, capture_output=True, text=True)
    assert asked.returncode == 1
    assert "there is no interface nope0" in asked.stderr
