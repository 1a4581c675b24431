# SPDX-License-Identifier: Apache-2.0
"""The same traffic through every engine: a private lab, traffic for it, and what is shown of it."""
