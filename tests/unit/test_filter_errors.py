# SPDX-License-Identifier: Apache-2.0
"""A mistake in a filter is shown at its place."""

import pytest

import wirepath as wp


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tcp prt 80", "prt"),
        ("tcp and and udp", "and udp"),
        ("(tcp or udp", ""),
        ("tcp port 80)", ")"),
        ("host", ""),
        ("ip proto tcp or udp", "tcp or"),
        ("tcp port 80 and [5]", "[5]"),
        ("tcp[13", ""),
        ("port 99999", ""),
    ],
)
def test_the_place_of_a_mistake(text: str, place: str) -> None:
    with pytest.raises(wp.FilterError) as caught:
        wp.compile_filter(text)
    lines = str(caught.value).splitlines()
    assert lines[1].strip() == text
    column = lines[2].index("^") - 4
    assert text[column:].startswith(place)
    assert place or column == len(text)
