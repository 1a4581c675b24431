# SPDX-License-Identifier: Apache-2.0
"""The path of this guest's NIC: the cases of tests/net/test_path.py, and the hooks that only these kernels tell."""

import pytest

from net.hosting import in_netns
from net.test_path import (  # noqa: F401 (pytest runs what it finds here)
    test_af_xdp_and_its_program,
    test_attached_programs,
    test_full_tap_has_missed_packets,
    test_our_engines_are_taps,
    test_picture_has_every_stage,
    test_quiet_interface,
    test_ring_of_a_nic,
    test_rules,
    test_stages_in_the_order_of_the_kernel,
    test_way_to_an_engine,
)
from wirepath.bench.lab import Wire
from wirepath.path.hooks import Hook, read_hooks


@pytest.mark.since("6.12")
def test_functions_at_the_hooks(host: Wire) -> None:
    """nfnetlink_hook tells who registered, also what is neither nftables nor iptables."""
    made = in_netns(host, "iptables-legacy", "-A", "INPUT", "-j", "ACCEPT")
    assert made.returncode == 0, made.stderr
    told = in_netns(host, "nft", "list", "hooks", "ip").stdout
    hooks = [hook for hook in read_hooks_of(host) if hook.family == "ip" and hook.hook == "input"]
    assert hooks
    assert all(hook.function in told for hook in hooks)


def read_hooks_of(host: Wire) -> tuple[Hook, ...]:
    with host.far.namespace.entered():
        return read_hooks() or ()
