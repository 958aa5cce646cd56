# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the stack keeps its data and its state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_DATA_DIR = "/data"


def data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """DATA_DIR if set and not empty, else /data."""
    return Path(env.get("DATA_DIR") or DEFAULT_DATA_DIR)


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """STATE_DIR if set and not empty, else the `state` directory below DATA_DIR."""
    override = env.get("STATE_DIR")
    return Path(override) if override else data_dir(env) / "state"
