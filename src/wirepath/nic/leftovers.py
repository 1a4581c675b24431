# SPDX-License-Identifier: Apache-2.0
"""What captures that were killed have left changed on the host (/run/wirepath/changes)."""

from wirepath import _core
from wirepath.linux.netns import inside

__all__ = ["heal"]


def heal(netns: str | None = None) -> tuple[int, list[tuple[str, str]]]:
    """Puts back what can be: how many settings that were, and (place, name) of each that takes more rights than ours.

    Raises what `inside` raises.
    """
    with inside(netns):
        return _core.heal_network_settings(), _core.network_settings_left_behind()
