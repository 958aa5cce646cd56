# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay of a layout, proved on a stage before anything names it: one that is there, or derived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from ...core.compose.chain import resolvers_order
from ...core.compose.overlay import prove, render, wanted_mounts
from ...core.host.errors import ComposeInvalid, OverlayUnproved, VolumeLeftOver
from ...core.layout.layouts import Layout, overlays
from ..host import permit
from .stage import Stage

UNPROVED = (ComposeInvalid, OverlayUnproved, VolumeLeftOver)
"""What says that a chain, or its overlay, is not the right one."""


def proved_overlay(
    stage: Stage,
    layout: Layout,
    chain: Sequence[str],
    present: bool,
    offered: Optional[bytes] = None,
    passed_over: Optional[list[str]] = None,
    held: Optional[bool] = None,
) -> tuple[bytes, dict[str, Any]]:
    """The overlay to write (empty when the one that is there is right), and the configuration.

    present: whether the project directory has an overlay of that name. It stays if it passes the
    proof, whoever wrote it: to write another one with the same meaning would recreate containers.
    offered: the product's own, taken if it passes; else one is derived.
    passed_over: gets the reason for each that was not taken.
    held: whether each service needs the permit of the guard; None asks the host.
    Raises a Refusal when no overlay passes the proof.
    """
    name = layout.overlay
    reasons = [] if passed_over is None else passed_over
    base = stage.resolve([file for file in chain if file not in overlays()])
    held = permit.is_needed() if held is None else held
    wanted = wanted_mounts(base, layout, held)

    def proved() -> dict[str, Any]:
        resolved = stage.resolve(chain)
        prove(resolved, wanted, chain)
        return resolved

    if present:
        try:
            return b"", proved()
        except UNPROVED as error:
            reasons.append(str(error))
    # The product's own has no permit.
    if offered and not held:
        stage.put(name, offered)
        try:
            return offered, proved()
        except UNPROVED as error:
            reasons.append(str(error))
    rest = [file for file in chain if file != name]
    # What another overlay before it has changed must be said again, too.
    before = stage.resolve(rest) if set(rest) & set(overlays()) else base
    text = render(base, layout, rest, before, held).encode()
    stage.put(name, text)
    return text, proved()


def in_order(stage: Stage, chain: list[str]) -> list[str]:
    """``chain`` in the order of the product's resolver, if Compose makes the very same of it.

    The product's upgrade warns of another order at each of its ticks.
    """
    better = resolvers_order(chain)
    try:
        return better if better != chain and stage.means_the_same(chain, better) else chain
    except ComposeInvalid:
        return chain
