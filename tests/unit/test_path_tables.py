# SPDX-License-Identifier: Apache-2.0
"""The tables of the receive path, and the readers that take text apart."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path as File

import pytest

import wirepath as wp
from wirepath.figure import Figure
from wirepath.path import Branch, Fact, Path, Stage, measured_copies
from wirepath.path.branches import BRANCHES, COPIES
from wirepath.path.counters import STAGES, TABLE, Counter, lost_by, netfilter
from wirepath.path.counters.link import driver_losses
from wirepath.path.counters.protocol import pairs, snmp6
from wirepath.path.picture import as_html, as_svg
from wirepath.path.sockets import OpenSocket, Owner, socket_losses
from wirepath.path.text import _legend
from wirepath.printable import printable


def counter(kind: str, value: int | None) -> Counter:
    return Counter(kind, "name", "of", value, "source")


def test_each_row_has_a_stage_a_meaning_and_a_remedy() -> None:
    for kind, loss in TABLE.items():
        assert kind.partition(".")[0] in STAGES
        assert loss.meaning
        assert not loss.meaning.endswith(".")
        assert loss.remedy.endswith(".")
        assert not loss.again or loss.again in TABLE
        assert kind != loss.again


def test_every_engine_branches_off_somewhere() -> None:
    capturing = {engine.name for engine in wp.engines() if engine.target == "interface"}
    assert {row.engine for row in BRANCHES} == capturing
    assert {row.engine for row in COPIES} <= capturing


def test_what_was_added() -> None:
    assert counter("nic.missed", 7).since(counter("nic.missed", 5)) == 2
    assert counter("nic.missed", 7).since(None) == 7
    assert counter("nic.missed", None).since(counter("nic.missed", 5)) is None
    assert counter("nic.missed", 7).since(counter("nic.missed", None)) is None


def test_a_counter_of_32_bits_wraps() -> None:
    assert counter("backlog.dropped", 3).since(counter("backlog.dropped", (1 << 32) - 2)) == 5


def test_a_counter_that_begins_anew_is_a_lower_bound() -> None:
    """A driver was reset: what it counted since is all that is known, and no 64 bits' worth of losses."""
    assert counter("nic.missed", 3).since(counter("nic.missed", 100)) == 3
    assert counter("socket.drops", 3).since(counter("socket.drops", 100)) == 3


def udp_socket(inode: int, drops: int) -> OpenSocket:
    return OpenSocket(
        inode=inode,
        family="inet",
        type=2,
        protocol=17,
        listening=True,
        local="0.0.0.0:53",
        remote="",
        ifindex=0,
        drops=drops,
        rcvbuf_bytes=0,
        buffered_bytes=0,
        filtered=False,
        owners=(Owner(812, "dnsmasq"),),
    )


def test_sockets_that_share_an_address_are_told_apart() -> None:
    """SO_REUSEPORT: one program, one address, and each socket loses packets of its own."""
    one, other = (counter for inode in (7, 8) for counter in socket_losses(udp_socket(inode, inode)))
    assert one.of == other.of
    assert one.key != other.key


def test_a_counter_that_its_owner_clears_is_a_lower_bound() -> None:
    assert counter("ring.tpacket", 3).since(counter("ring.tpacket", 100)) == 3


@pytest.mark.parametrize(
    ("moved", "lost"),
    [
        ([("nic.missed", 3), ("protocol.udp_noport", 2)], 5),
        ([("socket.drops", 9), ("protocol.udp_errors", 9), ("protocol.udp_buffer", 9)], 9),
        ([("protocol.udp_errors", 9), ("protocol.udp_buffer", 9)], 9),  # whose socket is gone
        ([("backlog.dropped", 4), ("driver.dropped", 4), ("backlog.squeezed", 8)], 4),
        ([("ring.tpacket", 4)], 0),
    ],
)
def test_each_loss_is_counted_once(moved: list[tuple[str, int]], lost: int) -> None:
    assert lost_by(moved) == lost


STAT_NF_CONNTRACK = """\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  new
00000003  00000000 00000000 00000000 00000002 00000000 00000000 00000004 00000000 00000001 00000001 00000009 00000000  0
00000003  00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000000a 00000000 00000000  0
"""


def test_connections_that_were_forgotten_are_no_packets(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """conntrack's early_drop counts connections; and a packet that could not be inserted was dropped, once."""
    (tmp_path / "stat").mkdir()
    (tmp_path / "stat/nf_conntrack").write_text(STAT_NF_CONNTRACK)
    monkeypatch.setattr(netfilter, "_NET", tmp_path)
    found = {each.name: each for each in netfilter.read_netfilter_losses() if each.of == "conntrack"}
    assert {name: each.value for name, each in found.items()} == {"drop": 11, "early_drop": 9, "insert_failed": 1}
    assert lost_by((each.kind, each.value or 0) for each in found.values()) == 11


FUNCTION = {"function": "skb_copy_bits", "calls": {"value": 1, "how": "measured", "detail": ""}}


@pytest.mark.parametrize(
    "functions",
    [
        3,
        [{}],
        [FUNCTION | {"calls": None}],
        [{"calls": FUNCTION["calls"]}],
        [FUNCTION | {"calls": {"value": 1, "how": "measured"}}],
        [FUNCTION | {"calls": {"value": 1, "how": "unknown", "detail": ""}}],
        [FUNCTION | {"calls": {"value": "many", "how": "measured", "detail": ""}}],
    ],
)
def test_a_damaged_file_of_copies_is_refused(functions: object, tmp_path: File) -> None:
    file = tmp_path / "copies.json"
    one = {"engine": "tpacket_v3", "mode": "default", "size": 200, "functions": functions}
    file.write_text(json.dumps({"v": 1, "measurements": [one]}))
    with pytest.raises(wp.FileFormatError, match="wirepath copies --json"):
        measured_copies(str(file))


def test_queues_are_added_up_and_known_names_have_a_meaning() -> None:
    told = {"rx_queue_0_drops": 2, "rx_queue_1_drops": 3, "rx_queue_0_xdp_drops": 4, "rx_queue_0_xdp_packets": 9}
    found = {(c.kind, c.name): c.value for c in driver_losses("veth0", "veth", told)}
    assert found == {("driver.queue", "rx_queue_#_drops"): 5, ("xdp.dropped", "rx_queue_#_xdp_drops"): 4}


def test_drops_of_virtio_without_those_of_xdp() -> None:
    told = {"rx_drops": 7, "rx_xdp_drops": 5, "rx0_drops": 7, "rx0_xdp_drops": 5}
    found = {c.name: (c.kind, c.value) for c in driver_losses("eth0", "virtio_net", told)}
    assert found["rx_drops - rx_xdp_drops"] == ("driver.queue", 2)
    assert found["rx_xdp_drops"] == ("xdp.dropped", 5)
    assert lost_by((kind, value or 0) for kind, value in found.values()) == 7


def test_counters_of_unknown_drivers() -> None:
    told = {"rx_frobnicator_overflow": 1, "rx_packets": 2, "tx_dropped": 3, "rx_missed_errors": 4, "rx_xdp_drops": 5}
    found = {c.name: c.kind for c in driver_losses("eth0", "frob", told)}
    assert found == {"rx_frobnicator_overflow": "nic.other", "rx_xdp_drops": "xdp.dropped"}, (
        "stats64 has the missed ones"
    )


@pytest.mark.parametrize(
    ("driver", "name", "kind"),
    [
        ("igb", "rx_no_buffer_count", "nic.no_buffer"),
        ("e1000e", "alloc_rx_buff_failed", "driver.alloc"),
        ("mlx5_core", "rx_out_of_buffer", "nic.missed"),
        ("virtio_net", "rx0_drops", "driver.part"),
        ("vmxnet3", "  pkts rx OOB", "driver.alloc"),
        ("ena", "queue_3_rx_xdp_aborted", "xdp.aborted"),
    ],
)
def test_drivers(driver: str, name: str, kind: str) -> None:
    assert [c.kind for c in driver_losses("eth0", driver, {name: 1})] == [kind]


def test_lines_in_pairs() -> None:
    text = "Udp: InDatagrams NoPorts\nUdp: 7 3\nIpExt: InNoRoutes\nIpExt: 1\n"
    assert pairs(text) == {"Udp.InDatagrams": 7, "Udp.NoPorts": 3, "IpExt.InNoRoutes": 1}
    assert snmp6("Ip6InReceives\t 5\nodd\n") == {"Ip6InReceives": 5}


def test_any_name_of_a_process() -> None:
    assert printable("\x1b[2Jx") == "\N{REPLACEMENT CHARACTER}[2Jx"


def test_picture_of_hostile_text_is_well_formed() -> None:
    nasty = 'a<b>&"\x00\x1b]]> ' + "x" * 300
    branch = Branch("socket", nasty, False, nasty, nasty, None, nasty)
    stage = Stage("taps", nasty, "softirq", False, (Fact(nasty, nasty),), nasty, nasty, nasty, branches=(branch,))
    path = Path("eth<0>", nasty, nasty, nasty, "socket", nasty, None, (stage,), {nasty: nasty})
    svg = ET.fromstring(as_svg(path))
    assert svg.tag.endswith("svg")
    assert "<b>" not in as_html(path)


def test_references_say_where_they_are_from() -> None:
    elsewhere = Figure(1, "reference", "Linux 6.12, igb, 2026-11-24")
    legend = list(_legend([elsewhere, elsewhere, Figure(None, "unknown", "nobody looked")]))
    assert legend[1:] == ["* measured elsewhere: Linux 6.12, igb, 2026-11-24"]
    assert list(_legend([Figure(None, "unknown", "nobody looked")])) == []
