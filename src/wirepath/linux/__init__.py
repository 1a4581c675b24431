# SPDX-License-Identifier: Apache-2.0
"""What of the kernel's interface several rooms use: the twin of ``native/linux/``."""
