# SPDX-License-Identifier: Apache-2.0
"""The instruments that watch the kernel: where a packet goes, and what becomes of it."""

from wirepath.trace.packets import TracedPacket, follow, follow_one

__all__ = ["TracedPacket", "follow", "follow_one"]
