# SPDX-License-Identifier: Apache-2.0
"""Writing SVG: elements, text that wraps, and nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from wirepath.printable import printable

__all__ = ["Drawing", "wrapped"]


def wrapped(text: str, width: float, size: float, *, wide: float = 0.6) -> list[str]:
    """Lines that fit into `width` at this size of type. `wide`: the mean width of a letter, in sizes."""
    return textwrap.wrap(text, max(8, int(width / (size * wide))), break_on_hyphens=False) or [""]


class Drawing:
    """A picture under way. Units are pixels, y grows downwards; how things look is in the classes of its style."""

    def __init__(self) -> None:
        self._body: list[str] = []

    def element(self, tag: str, content: str | None = None, **attributes: object) -> None:
        """One element. An underscore in an attribute's name stands for a hyphen; `class_` is class."""
        told = "".join(
            f" {name.rstrip('_').replace('_', '-')}={quoteattr(_plain(value))}"
            for name, value in attributes.items()
            if value is not None
        )
        self._body.append(f"<{tag}{told}/>" if content is None else f"<{tag}{told}>{content}</{tag}>")

    def box(self, x: float, y: float, width: float, height: float, class_: str, radius: float = 8) -> None:
        """A rectangle with round corners."""
        self.element("rect", x=x, y=y, width=width, height=height, rx=radius, class_=class_)

    def text(self, x: float, y: float, content: str, class_: str, **attributes: str) -> None:
        """A line of text; y is its baseline."""
        self.element("text", escape(printable(content)), x=x, y=y, class_=class_, **attributes)

    def paragraph(self, x: float, y: float, lines: list[str], class_: str, leading: float) -> float:
        """Lines of text below each other; the baseline that would come next."""
        for line in lines:
            self.text(x, y, line, class_)
            y += leading
        return y

    def path(self, shape: str, class_: str) -> None:
        """Lines and curves, in SVG's own letters."""
        self.element("path", d=shape, class_=class_)

    def finished(self, width: float, height: float, title: str, style: str) -> str:
        """The file's text."""
        return "\n".join(self._lines(width, height, title, style))

    def _lines(self, width: float, height: float, title: str, style: str) -> Iterator[str]:
        size = f'width="{_plain(width)}" height="{_plain(height)}" viewBox="0 0 {_plain(width)} {_plain(height)}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(printable(title))}>'
        yield f"<title>{escape(printable(title))}</title>"
        yield f"<style>{escape(style)}</style>"
        yield from self._body
        yield "</svg>\n"


def _plain(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
