# SPDX-License-Identifier: Apache-2.0
"""What a flow's text means."""

from __future__ import annotations

import ipaddress

import pytest

import wirepath as wp
from wirepath.flow import IMIX, parse_sizes


def test_the_usual() -> None:
    flow = wp.parse_flow("udp 10.0.0.1:1000-1999 > 10.0.0.2:53")
    assert flow == wp.Flow(
        "udp", 16, ipaddress.ip_address("10.0.0.1"), 1, 1000, 1000, ipaddress.ip_address("10.0.0.2"), 1, 53, 1
    )


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [
        ("10.0.0.0/24", "10.0.0.0", 256),
        ("10.0.0.5-10.0.1.4", "10.0.0.5", 256),
        ("[fd00::1]", "fd00::1", 1),
        ("[fd00::/120]", "fd00::", 256),
    ],
)
def test_addresses(text: str, first: str, count: int) -> None:
    flow = wp.parse_flow(f"tcp {text}:1 > {text}:2")
    assert (str(flow.source), flow.source_count, str(flow.target), flow.target_count) == (first, count) * 2


def test_tcp_flags() -> None:
    assert wp.parse_flow("tcp 1.1.1.1:1 > 1.1.1.2:2").tcp_flags == 0x10
    assert wp.parse_flow("TCP SYN 1.1.1.1:1 > 1.1.1.2:2").tcp_flags == 0x02
    assert wp.parse_flow("tcp syn,ack 1.1.1.1:1>1.1.1.2:2").tcp_flags == 0x12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cannot be read"),
        ("icmp 1.1.1.1:1 > 1.1.1.2:2", "cannot be read"),
        ("udp 1.1.1.1 > 1.1.1.2:2", "no address and port"),
        ("udp 1.1.1.1:9-3 > 1.1.1.2:2", "no ports"),
        ("udp 1.1.1.1:1-65536 > 1.1.1.2:2", "no ports"),
        ("udp 1.1.1.9-1.1.1.1:1 > 1.1.1.2:2", "no range"),
        ("udp 1.1.1.300:1 > 1.1.1.2:2", "no address"),
        ("udp [fd00::1]:1 > 1.1.1.2:2", "one IP version to the other"),
        ("udp syn 1.1.1.1:1 > 1.1.1.2:2", "a flag of TCP"),
    ],
)
def test_mistakes(text: str, why: str) -> None:
    with pytest.raises(wp.OptionError, match=why):
        wp.parse_flow(text)


def test_sizes() -> None:
    assert parse_sizes("64,imix, 1514") == (64, *IMIX, 1514)
    assert [IMIX.count(size) for size in (60, 590, 1514)] == [7, 4, 1]
    with pytest.raises(wp.OptionError, match="'big' is no size"):
        parse_sizes("64,big")


def test_sizes_that_do_not_fit() -> None:
    spec = wp.parse_flow("udp 1.1.1.1:1 > 1.1.1.2:2").as_core(bytes(6), bytes(6), (41,))
    with pytest.raises(wp.OptionError, match=r"cannot have 41 bytes.*42 to"):
        wp._core.Flow(spec)
