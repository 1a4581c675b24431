# SPDX-License-Identifier: Apache-2.0
"""What Wirepath costs beside the programs that people use today, measured in one run. See docs/benchmarks.md."""
