# SPDX-License-Identifier: Apache-2.0
"""Line-rate arithmetic against known truths."""

from __future__ import annotations

import pytest

from wirepath import OptionError
from wirepath.nic import line_rates, packets_per_second, parse_speed
from wirepath.nic.rates import payloads_per_second


@pytest.mark.parametrize(
    ("bps", "frame", "expected"),
    [
        (10_000_000_000, 64, 14_880_952),
        (10_000_000_000, 1518, 812_743),
        (1_000_000_000, 64, 1_488_095),
        (1_000_000_000, 1518, 81_274),
        (100_000_000, 64, 148_809),
        (10_000_000_000, 9018, 138_304),
        (100_000_000_000, 64, 148_809_523),
    ],
)
def test_frames_a_second(bps: int, frame: int, expected: int) -> None:
    assert int(packets_per_second(bps, frame)) == expected


def test_the_usual_reckoning() -> None:
    assert int(payloads_per_second(100_000_000, 1500)) == 8_333
    assert int(payloads_per_second(100_000_000, 46)) == 271_739


def test_what_it_leaves_out_is_38_bytes_a_packet() -> None:
    for payload in (46, 1500):
        true = packets_per_second(100_000_000, payload + 14 + 4)
        assert true == pytest.approx(100_000_000 / ((payload + 38) * 8))
        assert true < payloads_per_second(100_000_000, payload)


def test_payload_never_exceeds_the_link() -> None:
    rows = line_rates(25_000_000_000)
    assert all(row.goodput_bps < 25_000_000_000 for row in rows)
    assert rows[0].frame_bytes == 64
    assert rows[0].ns_per_packet == pytest.approx(26.88)


@pytest.mark.parametrize(("text", "bps"), [("10G", 10**10), ("2.5G", 2_500_000_000), ("100M", 10**8), ("56k", 56_000)])
def test_speeds(text: str, bps: int) -> None:
    assert parse_speed(text) == bps


@pytest.mark.parametrize("text", ["", "10", "G", "-1G", "0G", "infG", "nanG", "10X", "1e30T"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(OptionError, match="is not a speed"):
        parse_speed(text)
