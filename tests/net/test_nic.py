# SPDX-License-Identifier: Apache-2.0
"""`wirepath.nic` over veth, against what ethtool, ip and tc say of the same interface."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

import wirepath as wp
from wirepath import nic
from wirepath.bench.frames import Sender, frame
from wirepath.bench.lab import Lab, Wire
from wirepath.bench.link import Link
from wirepath.nic.irqs import interrupts


def need_sysfs(found: nic.Nic) -> None:
    if "sysfs" in found.missing:
        pytest.skip(f"cannot run here: {found.missing['sysfs']}")


def run(link: Link, *command: str) -> str:
    with link.namespace.entered():
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def seen(link: Link) -> nic.Nic:
    return nic.read(link.name, link.namespace.path)


def ip_link(link: Link) -> dict[str, object]:
    (told,) = json.loads(run(link, "ip", "-j", "-d", "-s", "link", "show", link.name))
    return told


def test_the_link_is_what_ip_says(wire: Wire) -> None:
    told, found = ip_link(wire.far), seen(wire.far)
    assert found.link.ifindex == told["ifindex"]
    assert found.link.mtu == told["mtu"] == 9000
    assert found.link.mac == told["address"]
    assert found.link.kind == told["linkinfo"]["info_kind"] == "veth"
    assert found.link.operstate == told["operstate"].lower()
    assert found.link.qdisc == told["qdisc"]
    assert found.link.promiscuity == told["promiscuity"] == 0
    assert (found.link.rx_queues, found.link.tx_queues) == (told["num_rx_queues"], told["num_tx_queues"])
    assert found.link.up is ("UP" in told["flags"])


def test_the_other_end_is_named_though_it_is_in_another_namespace(wire: Wire) -> None:
    assert seen(wire.far).link.peer == wire.near.name
    assert seen(wire.far).link.peer_ifindex == wire.near.index
    assert seen(wire.far).link.peer_netns is not None


def test_an_interface_that_bears_an_interrupts_name_has_none_of_it(wire: Wire) -> None:
    """The host's /proc/interrupts is the same in every namespace, and a virtual interface may be called anything."""
    words = [line.actions.split("-")[0] for line in interrupts(Path("/proc/interrupts").read_text())]
    name = next((word for word in words if re.fullmatch(r"\w{1,15}", word)), None)
    if name is None:
        pytest.skip("cannot run here: no interrupt's name could be an interface's")
    with wire.far.namespace.routes() as routes:
        routes.link("add", ifname=name, kind="bridge")
    found = nic.read(name, wire.far.namespace.path)
    assert found.irqs == ()
    assert found.irq_of(0) == (None, "unknown")


@pytest.mark.wire(queues=3)
def test_queues_are_what_ethtool_says(wire: Wire) -> None:
    run(wire.far, "ethtool", "-L", wire.far.name, "rx", "3", "tx", "2")
    found = seen(wire.far)
    now = run(wire.far, "ethtool", "-l", wire.far.name).partition("Current hardware settings:")[2]
    assert found.receive_queues == found.channels.rx == int(re.search(r"RX:\s+(\d+)", now)[1]) == 3
    assert found.channels.tx == int(re.search(r"TX:\s+(\d+)", now)[1]) == 2
    need_sysfs(found)
    assert [row.queue for row in found.steering if row.type == "rx"] == [0, 1, 2]


def test_rps_of_a_queue(wire: Wire, tmp_path: Path) -> None:
    """Through a sysfs of the namespace: /sys here shows the host's."""
    need_sysfs(seen(wire.far))
    assert seen(wire.far).steering[0].cpus == ()
    run(wire.far, "mount", "-t", "sysfs", "sysfs", str(tmp_path))
    try:
        (tmp_path / "class/net/mon0/queues/rx-0/rps_cpus").write_text("3")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert seen(wire.far).steering[0].cpus == (0, 1)


def test_offloads_are_what_ethtool_says(wire: Wire) -> None:
    legacy = {
        "generic-receive-offload": "rx-gro",
        "large-receive-offload": "rx-lro",
        "rx-vlan-offload": "rx-vlan-hw-parse",
    }
    legacy |= {"ntuple-filters": "rx-ntuple-filter", "receive-hashing": "rx-hashing", "rx-checksumming": "rx-checksum"}
    legacy |= {"tx-vlan-offload": "tx-vlan-hw-insert", "generic-segmentation-offload": "tx-generic-segmentation"}
    wire.far.offload(gro=True)
    found = seen(wire.far).offloads
    compared = 0
    for line in run(wire.far, "ethtool", "-k", wire.far.name).splitlines()[1:]:
        name, _, state = line.strip().partition(": ")
        feature = found.get(legacy.get(name, name))
        if feature is None:
            continue  # one of ethtool's groups of features
        compared += 1
        assert feature.active is state.startswith("on"), line
        assert feature.changeable is ("[fixed]" not in state), line
    assert compared > 40
    assert found["rx-gro"].active
    wire.far.offload(gro=False)
    assert not seen(wire.far).offloads["rx-gro"].active


def test_timestamping_is_what_ethtool_says(wire: Wire) -> None:
    text = run(wire.far, "ethtool", "-T", wire.far.name)
    found = seen(wire.far).timestamping
    assert all(word in text for word in found.capabilities)
    assert "software-receive" in found.capabilities
    assert found.phc is None
    assert "PTP Hardware Clock: none" in text


def test_counters_are_what_was_sent(wire: Wire) -> None:
    before = seen(wire.far)
    with Sender(wire.near) as sender:
        sender.send(frame(number) for number in range(321))
    after = seen(wire.far)
    assert after.counters["rx_packets"] - before.counters["rx_packets"] == 321
    told = ip_link(wire.far)["stats64"]["rx"]
    assert after.counters["rx_packets"] == told["packets"]
    assert after.counters["rx_bytes"] == told["bytes"]
    text = run(wire.far, "ethtool", "-S", wire.far.name)
    assert dict(re.findall(r"^\s+(\S+): (\d+)$", text, re.MULTILINE)).keys() == after.driver_counters.keys()


def test_polls_and_packets_are_counted(wire: Wire) -> None:
    wire.far.offload(gro=True)  # with it, veth receives by NAPI
    meter = nic.Meter(wire.far.name, wire.far.namespace.path)
    with Sender(wire.near) as sender:
        sender.send(frame(number) for number in range(1000))
    time.sleep(0.2)
    activity = meter.next()
    assert activity.link["rx_packets"] * activity.seconds == pytest.approx(1000)
    assert activity.interrupts.how == "unknown"
    if activity.polls.how == "unknown":
        pytest.skip(f"polls cannot be counted here: {activity.polls.detail}")
    received = activity.polls.value * activity.packets_per_poll.value * activity.seconds
    assert received == pytest.approx(1000)
    idle = meter.next()
    assert idle.polls.value == 0
    assert idle.packets_per_poll.how == "unknown"


@pytest.mark.parametrize(("xdp_mode", "word"), [("native", "native"), ("generic", "generic")])
def test_our_own_xdp_program_is_seen_and_bars_another(wire: Wire, xdp_mode: str, word: str) -> None:
    engine = next(engine for engine in wp.engines() if engine.name == "af_xdp")
    if not engine.usable:
        pytest.skip(f"cannot run here: {engine.reason}")
    with wp.open(wire.far.name, engine="af_xdp", netns=wire.far.namespace.path, xdp_mode=xdp_mode):
        found = seen(wire.far)
        (program,) = found.xdp
        assert program.mode == word
        assert program.id == ip_link(wire.far)["xdp"]["prog"]["id"]
        assert program.name.startswith("take")
        ways = [way for way in nic.ways(found) if way.engine == "af_xdp"]
        assert all(way.works is False and str(program.id) in way.why for way in ways)
    assert seen(wire.far).xdp == ()


@pytest.mark.parametrize("way", [("native", "copy"), ("native", "zero_copy"), ("generic", "copy")], ids=" ".join)
def test_the_engine_agrees_with_what_was_foretold(wire: Wire, way: tuple[str, str]) -> None:
    engine = next(engine for engine in wp.engines() if engine.name == "af_xdp")
    if not engine.usable:
        pytest.skip(f"cannot run here: {engine.reason}")
    xdp_mode, mode = way
    wanted = (f"xdp_mode={xdp_mode}",) if xdp_mode == "generic" else (f"xdp_mode={xdp_mode}", f"mode={mode}")
    (foretold,) = [row for row in nic.ways(seen(wire.far)) if row.engine == "af_xdp" and row.options == wanted]
    try:
        with wp.open(wire.far.name, engine="af_xdp", netns=wire.far.namespace.path, xdp_mode=xdp_mode, mode=mode):
            worked = True
    except wp.UnsupportedError:
        worked = False
    assert foretold.works is worked, foretold.why


def test_filters_of_tc_are_seen_with_their_actions(lab: Lab) -> None:
    port = lab.ports[0]
    (found,) = seen(port).tc
    assert (found.direction, found.kind, found.priority) == ("ingress", "u32", 1)
    assert found.actions == ("mirror to span", "redirect to port2")
    assert seen(lab.monitor).tc == ()
    rule = "prio 7 u32 match u32 0 0 action mirred egress mirror dev span"
    run(port, "tc", "filter", "add", "dev", port.name, "egress", *rule.split())
    leaving = seen(port).tc[-1]
    assert (leaving.direction, leaving.kind, leaving.priority) == ("egress", "u32", 7)
    assert leaving.actions == ("mirror to span",)


def test_promiscuity_that_a_packet_socket_asked_for(wire: Wire) -> None:
    with wp.open(wire.far.name, engine="socket", netns=wire.far.namespace.path):
        assert seen(wire.far).link.promiscuity == 1 == ip_link(wire.far)["promiscuity"]
        assert "promisc" not in seen(wire.far).link.flags
    assert seen(wire.far).link.promiscuity == 0


def test_rates_of_one_that_goes_and_comes_back(wire: Wire) -> None:
    """Another interface has taken its name: what its polls were is not known, and known again from then on."""
    with wire.far.namespace.routes() as routes:
        routes.link("add", ifname="br0", kind="bridge")
        meter = nic.Meter("br0", wire.far.namespace.path)
        could = meter.next().polls.value is not None
        routes.link("del", index=routes.link_lookup(ifname="br0")[0])
        routes.link("add", ifname="br0", kind="bridge")
    assert meter.next().polls.how == "unknown"
    assert (meter.next().polls.value is not None) == could


def test_names_are_those_of_the_namespace(wire: Wire) -> None:
    assert nic.names(wire.far.namespace.path) == ["lo", wire.far.name]
    with pytest.raises(wp.NotFoundError, match="there is no interface gen0"):
        nic.read(wire.near.name, wire.far.namespace.path)


@pytest.mark.parametrize("what", [["nic"], ["nic", "mon0"], ["nic", "mon0", "--rates", "--interval", "0.1"]])
def test_the_command_reads_another_namespace(wire: Wire, what: list[str]) -> None:
    from unit.command_line import wirepath

    assert wire.far.name in wirepath(*what, "--netns", wire.far.namespace.path).stdout
