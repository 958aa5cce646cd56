# SPDX-License-Identifier: GPL-3.0-or-later
"""Small file and time helpers shared by the services."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


def utc_now() -> str:
    """Current UTC time, seconds, ISO 8601 with Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def sync_dir(path: Path) -> None:
    """Make a rename in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path` so that a reader, or a power cut, never meets half a file."""
    tmp = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    # PID 1 is every container's pid: a leftover of a killed run has this very name.
    tmp.unlink(missing_ok=True)
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(tmp, path)
    sync_dir(path.parent)


def replace_json(path: Path, value: Any) -> None:
    """`replace_text` for one JSON value."""
    replace_text(path, json.dumps(value, sort_keys=True) + "\n")
