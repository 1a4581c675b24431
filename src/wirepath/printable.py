# SPDX-License-Identifier: Apache-2.0
"""Names that others chose, on a terminal."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """A process or an interface may have any name, also one that is no text, or that would command the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
