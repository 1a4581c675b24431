# SPDX-License-Identifier: Apache-2.0
"""One filter in every machine that can run it: libpcap's, ours, and the kernel's, classic and extended."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import wirepath as wp
from unit.test_filter_machine import EXPRESSIONS, packets
from wirepath import _core

MACHINES = [name for name, _ in _core.filter_machines()]
DIVISIONS = ["ether[0] / ether[1] = 1", "ether[14] % ether[15] > 3", "ether[14] / 2 = 34"]
OFFSETS = ["ether[ether[14] - 100:2] > 3", "ether[ether[0:4] * 3] = 1", "ether[ether[14] * 60:4] & 1 = 1"]
# The kernel's classic machine shifts by the lower five bits.
SHIFTS = ["ether[0] << ether[1] = 0", "ether[0:4] >> ether[14] > 0"]


def machine(name: str, compiled: wp.Filter) -> _core.FilterMachine:
    try:
        return _core.FilterMachine(name, compiled)
    except wp.NoPermissionError as error:
        pytest.skip(str(error))


def with_long_ones() -> Iterator[tuple[bytes, int]]:
    """Some lie in several pages, beyond what a program may look at directly."""
    draw = random.Random(2)
    for data, origlen in packets(400):
        yield data, origlen
        if draw.random() < 0.1:
            longer = data + draw.randbytes(draw.choice([3300, 5000, 9000, 60000]))
            yield longer, len(longer)


@pytest.mark.parametrize("name", [name for name in MACHINES if name != "libpcap"])
@pytest.mark.parametrize("text", [*EXPRESSIONS, *DIVISIONS, *OFFSETS, *SHIFTS])
def test_same_verdict_as_libpcap(text: str, name: str) -> None:
    if name == "socket" and text in SHIFTS:
        pytest.skip("the kernel's classic machine shifts by the lower five bits")
    compiled = wp.compile_filter(text)
    libpcap, other = machine("libpcap", compiled), machine(name, compiled)
    given = 0
    for data, origlen in with_long_ones():
        matches, not_given = other.judge(data, origlen)
        if not_given:
            continue
        given += 1
        assert matches is libpcap.judge(data, origlen)[0], (text, data[:100].hex(), len(data), origlen)
    assert given > 100


def test_xdp_is_told_of_a_tag_beside_the_bytes() -> None:
    """By its caller, who may know it from the driver."""
    try:
        tagged = machine("xdp", _core.compile_live_filter("vlan 5 and ip", "lo"))
    except wp.NoPermissionError as error:
        pytest.skip(str(error))
    packet, in_bytes = bytes(12) + b"\x08\0" + bytes(46), bytes(12) + b"\x81\0\0\x05\x08\0" + bytes(46)
    assert tagged.judge(packet, vlan_tci=0x2005, vlan_tpid=0x8100) == (True, "")
    assert tagged.judge(packet, vlan_tci=6, vlan_tpid=0x8100) == (False, "")
    assert tagged.judge(packet) == (False, "")
    assert tagged.judge(in_bytes) == (True, "")


def test_only_what_is_reached_is_translated() -> None:
    compiled = wp.compile_filter("ip")
    assert _core.filter_ebpf(compiled, "tc")[-1] == (0x95, 0, 0, 0, 0)
    with pytest.raises(wp.OptionError, match="xdp, tc and socket"):
        _core.filter_ebpf(compiled, "nowhere")
