# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as a picture: a terminal whose lines come at the moments at which they came, in less time.

Where animations are not shown, all lines are.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH = 104
"""Columns; what is longer is cut."""
SECONDS = 14.0
"""How long the picture takes; what happened took longer."""
_LINE, _LEFT, _TOP, _LETTER = 17, 14, 44, 7.25
COLOURS = {
    "command": "#ffffff", "said": "#b8c4d0", "step": "#7fb2e5", "kill": "#ff6b60", "good": "#7ed491",
}  # fmt: skip
"""By kind of line."""


@dataclass(frozen=True)
class Line:
    """A line, and when it came, in seconds since any moment."""

    at: float
    kind: str
    text: str


def shown(text: str) -> str:
    """A line as wide as the picture at most."""
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def starts(lines: list[Line]) -> list[float]:
    """When each line comes in the picture, in seconds; the first at once, and none before the one above it."""
    first, last = lines[0].at, max(line.at for line in lines)
    span, at, times = (last - first) or 1.0, 0.0, []
    for line in lines:
        at = max(at, (line.at - first) / span * SECONDS)
        times.append(round(at, 2))
    return times


def picture(title: str, lines: list[Line]) -> str:
    """The recording as SVG. ``lines``: in the order in which they are shown; at least one."""
    height, width = _TOP + _LINE * len(lines) + 10, int(_LEFT * 2 + _LETTER * WIDTH)
    rows = []
    for number, (line, at) in enumerate(zip(lines, starts(lines))):
        weight = ' font-weight="bold"' if line.kind in ("command", "kill") else ""
        rows.append(
            f'<text x="{_LEFT}" y="{_TOP + _LINE * number}" fill="{COLOURS[line.kind]}"{weight} '
            f'style="animation-delay:{at}s">{escape(shown(line.text))}</text>'
        )
    body = "\n".join(rows)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" xml:space="preserve">
<title>{escape(title)}</title>
<style>
text {{ font: 12px monospace; white-space: pre; animation: come 0.01s both; }}
@keyframes come {{ from {{ visibility: hidden; }} to {{ visibility: visible; }} }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#16202b"/>
<text x="{_LEFT}" y="22" fill="#7b8794" style="animation: none">{escape(title)}</text>
{body}
</svg>
"""
