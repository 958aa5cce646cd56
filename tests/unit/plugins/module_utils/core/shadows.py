# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of two copies of state, made small: say only what differs."""

from __future__ import annotations

from typing import Any


def seen(device: str) -> dict[str, Any]:
    """A copy that no container uses."""
    return {
        "device": device, "opened": [], "seen": [], "database": True, "rows": {"main.rows": 3},
        "uncounted": "", "role": "", "epoch": 0, "bytes": 10, "files": 2,
        "newest": "2026-01-02 03:04:05",
    }  # fmt: skip


def shadow(mounted: dict[str, Any], shadowed: dict[str, Any], **differs: Any) -> Any:
    """Both copies, different."""
    return {
        "trouble": "", "mounted": {**seen("/dev/sdc"), **mounted},
        "shadowed": {**seen("/dev/sdb"), **shadowed},
        "counts": {"same": 1, "only shadowed": 2, "only mounted": 0, "differ": 1},
        "names": ["'system.duckdb' differ"], "conflicts": 3, **differs,
    }  # fmt: skip


USED = {"opened": ["app"], "seen": ["app", "scheduler"]}
