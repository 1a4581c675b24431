# SPDX-License-Identifier: Apache-2.0
"""pcap-filter(7) expressions."""

from wirepath._core import Filter, compile_filter

__all__ = ["Filter", "compile_filter"]
