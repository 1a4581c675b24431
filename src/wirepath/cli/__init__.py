# SPDX-License-Identifier: Apache-2.0
"""The command ``wirepath``: one file a command, imported when it is used."""

from wirepath.cli.group import main

__all__ = ["main"]
