# SPDX-License-Identifier: Apache-2.0
"""``python -m wirepath`` is the command ``wirepath``."""

from wirepath.cli import main

if __name__ == "__main__":
    main()
