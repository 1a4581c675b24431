# SPDX-License-Identifier: Apache-2.0
"""The account of a capture says what its counters say, and what they do not explain."""

import pytest

import wirepath as wp
from wirepath.bench.accounts import account
from wirepath.bench.frames import SMALLEST, checksum, frame, number_of
from wirepath.bench.lab import Sent


def test_every_packet_is_explained() -> None:
    sent = Sent(sent=100, delivered=93, dropped_link=4, dropped_backlog=3)
    found = account(sent, wp.Stats(received=80, filtered=5, dropped_nic=None, dropped_ring=6, dropped_fill=2))
    assert found.unexplained == 0
    assert found.losses == "5 filtered, 6 ring, 2 fill, 4 link, 3 backlog"


@pytest.mark.parametrize("received", [99, 101])
def test_what_is_missing_or_too_much_is_not_explained_away(received: int) -> None:
    found = account(Sent(100, 100, 0, 0), wp.Stats(received=received, dropped_ring=0))
    assert found.unexplained == 100 - received
    assert found.losses == "0"


def test_the_same_place_is_counted_by_one_counter() -> None:
    """The link's losses are the lab's to count: what an engine says of them would count them twice."""
    found = account(Sent(10, 7, 3, 0), wp.Stats(received=7, dropped_link=3))
    assert found.unexplained == 0


def test_a_known_frame_is_what_it_says() -> None:
    data = frame(7, 200, tags=((0x88A8, 1), (0x8100, 2)))
    assert len(data) == 200 + 8
    assert number_of(data) == 7
    assert checksum(data[22:42]) == 0
    assert number_of(data[: 8 + SMALLEST]) == 7
    assert number_of(data[: 8 + SMALLEST - 1]) is None
    with pytest.raises(ValueError, match=str(SMALLEST)):
        frame(1, SMALLEST - 1)
