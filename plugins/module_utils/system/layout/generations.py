# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting how new state is, in its marker and on the host: see core/layout/generation.py."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ...core.layout.generation import ACCEPTED, AT, FORMAT, KEY, PATH, check_kept, following
from ...core.layout.tree import MARKER
from ...core.move.move_status import ACTIVE
from ..host import durable
from . import markers, trees


def read() -> dict[str, Any]:
    """What the host keeps, empty where it has not counted yet; why it can't be read is in ``error``."""
    return durable.read_object(PATH, {})


def load() -> dict[str, Any]:
    """The same. Raises a Refusal for what this version can't read."""
    kept = read()
    check_kept(kept)
    return kept


def _save(kept: dict[str, Any]) -> None:
    durable.make_directory(os.path.dirname(PATH), 0o700)
    durable.write(PATH, json.dumps({**kept, "format": FORMAT}, indent=2) + "\n", 0o600)


def accept(generation: int) -> None:
    """Accept state with this number once, though it is lower than the host's."""
    _save({**load(), ACCEPTED: generation})


def count(state_dir: str) -> None:
    """Count one further, on the disk first: a marker that is behind is what an older disk has.

    State that is not in use has no count. Raises a Refusal or OSError; then the disk may be ahead.
    """
    with trees.opened(state_dir) as directory:
        marker = markers.read(directory)
        if marker.get("role") != ACTIVE:
            return
        kept = load()
        marker[KEY] = following(marker, kept)
        text = json.dumps(marker, indent=2) + "\n"
        durable.write_at(directory, MARKER, text.encode(), 0o644)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    _save({KEY: marker[KEY], AT: at})


def count_if_due(state_dir: str, seconds: float) -> None:
    """The same, unless the host has counted less than so many seconds ago."""
    info = durable.read_stat(PATH)
    if info is None or not 0 <= time.time() - info.st_mtime < seconds:
        count(state_dir)
