# SPDX-License-Identifier: Apache-2.0
"""The filter's machine in the kernel, against libpcap's, over whole, cut and damaged packets."""

from __future__ import annotations

import pytest

from unit.test_filter_machine import EXPRESSIONS, Libpcap, packets
from wirepath import _core

BEYOND_THE_WINDOW = ["ether[300:4] & 0xff > 100", "udp[150:2] < 30000", "len < 300 or ether[500] = 7"]


@pytest.fixture(scope="module", autouse=True)
def _need_programs() -> None:
    usable = {kind: (ok, reason) for kind, ok, reason in _core.trace_hooks()}
    ok, reason = usable["raw_tracepoint"]
    if not ok:
        pytest.skip(f"cannot run here: tracing: {reason}")


@pytest.mark.parametrize("text", EXPRESSIONS + BEYOND_THE_WINDOW)
def test_same_verdict_as_libpcap(text: str) -> None:
    libpcap = Libpcap()
    program = libpcap.compile(text)
    data = [cut for cut, _ in packets(1000)]
    for number, (whole, _) in enumerate(packets(100)):
        data.append(whole.ljust(200 + 5 * number, bytes([number])))
    expected = [libpcap.matches(program, one, len(one)) for one in data]
    assert _core.trace_judge(text, data) == expected


def test_without_a_mac_header() -> None:
    ip = bytes.fromhex("45000021000100004011000001020304050607080035003500 0d0000 6869".replace(" ", ""))
    assert _core.trace_judge("udp port 53 and host 1.2.3.4", [ip, ip[:20]], linktype=101) == [True, False]
