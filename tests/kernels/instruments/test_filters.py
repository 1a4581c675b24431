# SPDX-License-Identifier: Apache-2.0
"""Filters in this kernel's machines: none that libpcap compiles is refused, and all mean the same.

No NIC is needed: where there are several cells a kernel, one is enough.
"""

from __future__ import annotations

import pytest

from unit.test_filter_judges import (  # noqa: F401 (pytest finds them here)
    test_all_machines_agree,
    test_all_machines_agree_on_anything,
    test_all_machines_agree_on_other_links,
    test_every_hook_takes_it,
    test_every_hook_takes_it_for_other_links,
    test_every_hook_takes_what_is_compiled_for_an_interface,
    test_xdp_is_told_of_a_tag_beside_the_bytes,
)

pytestmark = [pytest.mark.nic("veth"), pytest.mark.full]
