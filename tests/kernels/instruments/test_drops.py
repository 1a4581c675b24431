# SPDX-License-Identifier: Apache-2.0
"""Losses made on purpose, over this guest's NIC: the cases of tests/net/test_drops.py, with exact counts here, too."""

from net.test_drops import (  # noqa: F401 (pytest runs what it finds here)
    ledger,
    test_both_ways_to_list_sockets_agree,
    test_command_says_what_helps,
    test_full_ring,
    test_full_socket,
    test_netfilter_drop,
    test_no_socket,
    test_nothing_lost,
    test_rule_without_a_counter_is_unknown,
    test_tc_action_drop,
    test_tc_drop,
    test_xdp_aborted,
    test_xdp_drop,
)
