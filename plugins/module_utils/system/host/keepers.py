# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for the product's own tools on the host, and for what starts them. Read-only."""

from __future__ import annotations

import glob
import os

from ...core.host.keepers import SCRIPTS, Keeper, keeper_of, keeper_without
from . import durable

_STARTERS = (
    "/var/spool/cron/crontabs/root",
    "/var/spool/cron/root",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/systemd/system/*.service",
)
_LIMIT = 1 << 20


def _text(path: str) -> str:
    """A file's text, a link's too; empty where it is gone or no file. Raises OSError."""
    return durable.read_text(os.path.realpath(path), _LIMIT) or ""


def _starters() -> dict[str, str]:
    """Path -> text of each unit and file of cron; one that can't be read starts nothing that we know."""
    texts = {}
    for path in (path for pattern in _STARTERS for path in sorted(glob.glob(pattern))):
        try:
            texts[path] = _text(path)
        except OSError:
            continue
    return texts


def observe() -> dict[str, Keeper]:
    """Keeper -> what there is of it on this host."""
    starters = _starters()
    return {name: _keeper(path, starters) for name, path in SCRIPTS.items()}


def _keeper(path: str, starters: dict[str, str]) -> Keeper:
    try:
        if not os.path.exists(path):
            return keeper_without(path, "absent")
        text = _text(path)
    except OSError:
        return keeper_without(path, "unknown")
    return keeper_of(path, text, [file for file, said in starters.items() if path in said])
