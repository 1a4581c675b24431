# SPDX-License-Identifier: Apache-2.0
"""One filter in every machine that can run it: libpcap's, ours, and the kernel's, classic and extended."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import wirepath as wp
from unit.filter_expressions import EXAMPLES, KEYWORDS, LOOPS, OTHER_LINKS, expressions
from unit.filter_machines import Machines, asks_for_metadata, loads_everywhere, may_load
from unit.filter_packets import packets
from wirepath import _core

PACKETS = packets(150)
DIVISIONS = ["ether[0] / ether[1] = 1", "ether[14] % ether[15] > 3", "ether[14] / 2 = 34"]
OFFSETS = ["ether[ether[14] - 100:2] > 3", "ether[ether[0:4] * 3] = 1", "ether[ether[14] * 60:4] & 1 = 1", "ip[-1] = 0"]
SHIFTS = ["ether[0] << ether[1] = 0", "ether[0:4] >> ether[14] > 0", "(ether[14] << 31) >> 31 = 1"]


@pytest.mark.parametrize("text", [*KEYWORDS, *EXAMPLES, *DIVISIONS, *OFFSETS, *SHIFTS])
def test_all_machines_agree(text: str) -> None:
    machines = Machines(text)
    for data, origlen in PACKETS:
        machines.agree_on(data, origlen)


@pytest.mark.parametrize(("linktype", "text"), OTHER_LINKS)
def test_all_machines_agree_on_other_links(linktype: int, text: str) -> None:
    machines = Machines(text, linktype)
    for data, origlen in PACKETS:
        machines.agree_on(data, origlen)


@pytest.mark.parametrize("text", [*KEYWORDS, *EXAMPLES, *DIVISIONS, *OFFSETS, *SHIFTS])
def test_every_hook_takes_it(text: str) -> None:
    may_load()
    loads_everywhere(wp.compile_filter(text))


@pytest.mark.parametrize(("linktype", "text"), OTHER_LINKS)
def test_every_hook_takes_it_for_other_links(linktype: int, text: str) -> None:
    may_load()
    loads_everywhere(wp.compile_filter(text, linktype))


@pytest.mark.parametrize(
    "text", ["vlan 5", "vlan and vlan 7", "inbound", "outbound and udp", "ifindex 1", "vlan or ip"]
)
def test_every_hook_takes_what_is_compiled_for_an_interface(text: str) -> None:
    may_load()
    loads_everywhere(_core.compile_live_filter(text, "lo"))


@pytest.mark.parametrize("text", LOOPS)
def test_loops_run_in_user_space(text: str) -> None:
    compiled = wp.compile_filter(text)
    libpcap, ours = _core.FilterMachine("libpcap", compiled), _core.FilterMachine("pipeline", compiled)
    for data, origlen in PACKETS:
        assert ours.judge(data, origlen) == libpcap.judge(data, origlen), (data.hex(), origlen)
    with pytest.raises(wp.UnsupportedError, match="loop"):
        _core.filter_ebpf(compiled, "xdp")


@given(text=expressions(), seed=st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_machines_agree_on_anything(text: str, seed: int) -> None:
    try:
        assume(not asks_for_metadata(wp.compile_filter(text)))
    except wp.FilterError:
        assume(False)
    machines = Machines(text)
    for data, origlen in packets(12, seed):
        machines.agree_on(data, origlen)


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ("tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420", False),
        ("ip[2:2] - ((ip[0] & 0xf) << 2) >= 40", False),
        ("ether[ip[2:2] + 70:4] > 5", False),
        ("ether[14] << (ether[15] & 31) = 1", False),
        ("ether[14] << ether[15] = 1", True),
        ("ip[ip[0] - 70] = 0", True),
        ("ether[ether[0:4] * 3] = 1", True),
        ("ether[0xfff00000] = 1", True),
        ("ip protochain 6", True),
    ],
)
def test_what_the_kernel_means_otherwise(text: str, differs: bool) -> None:
    assert _core.kernel_may_differ(wp.compile_filter(text)) is differs


def test_xdp_is_told_of_a_tag_beside_the_bytes() -> None:
    """By its caller, who may know it from the driver."""
    may_load()
    tagged = _core.FilterMachine("xdp", _core.compile_live_filter("vlan 5 and ip", "lo"))
    packet, in_bytes = bytes(12) + b"\x08\0" + bytes(46), bytes(12) + b"\x81\0\0\x05\x08\0" + bytes(46)
    assert tagged.judge(packet, vlan_tci=0x2005, vlan_tpid=0x8100) == (True, "")
    assert tagged.judge(packet, vlan_tci=6, vlan_tpid=0x8100) == (False, "")
    assert tagged.judge(packet) == (False, "")
    assert tagged.judge(in_bytes) == (True, "")


def test_only_what_is_reached_is_translated() -> None:
    compiled = wp.compile_filter("ip")
    assert _core.filter_ebpf(compiled, "tc")[0][-1] == (0x95, 0, 0, 0, 0)
    with pytest.raises(wp.OptionError, match="xdp, tc and socket"):
        _core.filter_ebpf(compiled, "nowhere")
