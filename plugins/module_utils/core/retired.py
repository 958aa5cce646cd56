# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs have set aside, and which of it may be deleted: only what is named, and only of that."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TypedDict

from .errors import NotRetired
from .layouts import LAYOUTS

ASIDE = ".agnes-host-aside"
"""Directory of what a move took out of its place: beside a mount point, or at the top of the disk there."""

REPLACED = "/var/lib/agnes-host/replaced"
"""Where files are kept that a run replaced, each under its path and a hash."""


class Retired(TypedDict):
    """One thing that was set aside."""

    path: str
    bytes: int
    """Of all files in it."""
    files: int
    newest: str
    """When its newest file was written, as UTC; empty when there is none."""


def folders() -> list[str]:
    """Every directory in which something may have been set aside."""
    places: list[str] = []
    for layout in LAYOUTS.values():
        for point in layout.mounts.values():
            places += [posixpath.dirname(point), point]
    return [*(posixpath.join(place, ASIDE) for place in dict.fromkeys(places)), REPLACED]


def check_named(named: Sequence[str], found: Sequence[Retired]) -> None:
    """Raise NotRetired unless each named path is one of those found, letter by letter."""
    known = [item["path"] for item in found]
    for path in named:
        if path not in known:
            raise NotRetired(path=path, known=", ".join(known) or "none")


def say(item: Retired) -> str:
    """For people."""
    mib = item["bytes"] / 1024**2
    newest = f", newest of {item['newest']}" if item["newest"] else ""
    return f"{item['path']} ({item['files']} files, {mib:.1f} MiB{newest})"
