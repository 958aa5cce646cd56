# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose project as a move leaves it, proved before anything is changed.

A move makes it so, and a check run asks here what the run after the move will meet.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ...core.compose.chain import chain_for, chain_now, without_others
from ...core.layout import dotenv
from ...core.layout.layouts import Layout
from ...core.layout.switch import switched_env
from .overlays import UNPROVED, in_order, proved_overlay
from .stage import Stage


class Switched(NamedTuple):
    """What a move writes, and what Compose makes of it."""

    stage: Stage
    chain: list[str]
    env_text: str
    overlay: bytes
    """The overlay's text; empty where the one that is there is right."""
    config: dict[str, Any]


def switched(
    docker: str, directory: str, source: Layout, target: Layout, text: str,
    profiles: Collection[str], backend: str, known: Sequence[str] = (),
) -> Switched:  # fmt: skip
    """The project of ``directory`` in layout ``target``, made from that of ``source``.

    text: ``.env`` as it is; profiles, backend: see ``chain_for``, of which the run after the move asks
    the same; known: the chain, where it has been proved before. Raises a Refusal where no chain
    passes the proof.
    """
    present = os.listdir(directory)
    current = chain_now(dotenv.read(text), present, directory)
    chain = list(known) or chain_for(target, current, profiles, present, backend)
    there = os.path.lexists(os.path.join(directory, target.overlay))

    def proved(chain: list[str]) -> Switched:
        stage = Stage(docker, directory, {}, switched_env(text, source, target, chain))
        overlay, config = proved_overlay(stage, target, chain, there)
        ordered = in_order(stage, chain)
        after = switched_env(text, source, target, ordered)
        return Switched(stage.with_env(after), ordered, after, overlay, config)

    try:
        return proved(chain)
    except UNPROVED:
        # The overlay of the layout that is left comes before the new one, and may be what is in the way.
        less = without_others(target, chain)
        if less == chain:
            raise
        return proved(less)
