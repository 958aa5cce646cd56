# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay of a layout, derived on a stage and proved there before anything names it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ..core.errors import Refusal
from ..core.layouts import Layout, overlays
from ..core.overlay import prove, render, wanted_mounts
from .stage import Stage


def proved_overlay(
    stage: Stage, layout: Layout, chain: Sequence[str], present: Collection[str]
) -> tuple[str, dict[str, Any]]:
    """The overlay to write (empty when the one that is there is right), and the configuration.

    present: names in the project directory. Raises a Refusal when no overlay passes the proof.
    """
    name = layout.overlay
    rest = [file for file in chain if file not in overlays()]
    base = stage.resolve(rest)
    wanted = wanted_mounts(base, layout)
    if name in present:
        try:
            full = stage.resolve(chain)
            prove(full, wanted, chain)
            return "", full
        except Refusal:
            # Stale or broken: it is derived anew, and the new one must pass the same proof.
            pass
    text = render(base, layout, rest)
    stage.put(name, text.encode())
    full = stage.resolve(chain)
    prove(full, wanted, chain)
    return text, full
