# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's ``.env`` as a file. Read-only."""

from __future__ import annotations

import os
from typing import Optional

from ...core.host.errors import Unreadable
from ..host import durable


def path_in(project_dir: str) -> str:
    """Where it is."""
    return os.path.join(project_dir, ".env")


def read(project_dir: str) -> Optional[str]:
    """Its text, or None where there is none. Raises Unreadable.

    A link, for one, is followed by some readers and replaced by others.
    """
    path = path_in(project_dir)
    try:
        return durable.read_text(path)
    except OSError as error:
        raise Unreadable(path=path, found=error.strerror or str(error)) from error
