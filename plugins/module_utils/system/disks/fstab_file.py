# SPDX-License-Identifier: GPL-3.0-or-later
"""The file /etc/fstab: reading it as mount(8) does, and whether it can be replaced. Read-only."""

from __future__ import annotations

import os

from ..host import durable, replaceable

PATH = "/etc/fstab"


def read(path: str = PATH) -> str:
    """Its text, through a link as mount(8) reads it; empty where there is none."""
    return durable.read_text(os.path.realpath(path)) or ""


def fixed(path: str = PATH) -> str:
    """Why the file can't be replaced by a new one, for a message; empty when it can."""
    return replaceable.fixed(path)
