# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for the product's own tools on the host. Read-only."""

from __future__ import annotations

import os

from ...core.host.keepers import SCRIPTS, Keeper, keeper_of, keeper_without
from . import durable

_LIMIT = 1 << 20


def observe() -> dict[str, Keeper]:
    """Keeper -> what there is of it on this host."""
    return {name: _keeper(path) for name, path in SCRIPTS.items()}


def _keeper(path: str) -> Keeper:
    try:
        # A link's, too.
        text = durable.read_text(os.path.realpath(path), _LIMIT)
    except OSError:
        return keeper_without(path, "unknown")
    return keeper_without(path, "absent") if text is None else keeper_of(path, text)
