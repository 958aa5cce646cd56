# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the marker of a state directory, by descriptor: uid 999 owns the directory."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.tree import MARKER

_LIMIT = 65536


def read(directory: int) -> dict[str, Any]:
    """The marker in an open directory, or an empty one where there is none.

    Raises OSError or ValueError for one that can't be read.
    """
    try:
        fd = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return {}
    with os.fdopen(fd, "rb") as file:
        found = json.loads(file.read(_LIMIT))
    if not isinstance(found, dict):
        raise ValueError(f"'{MARKER}' is no object")
    return found


def read_if_any(directory: int) -> dict[str, Any]:
    """The same, and an empty one for a marker that can't be read: it proves nothing."""
    try:
        return read(directory)
    except (OSError, ValueError):
        return {}
