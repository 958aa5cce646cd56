# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs have set aside, and which of it may be deleted: only what is named, and only of that."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TypedDict

from ..host.errors import NotRetired
from ..host.text import say_size, shown
from ..layout.layouts import LAYOUTS

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


def _matches(path: str, known: Sequence[str]) -> Sequence[str]:
    """The paths of ``known`` that a name means: itself, or the ones that are listed as it."""
    return [path] if path in known else [each for each in known if shown(each) == path]


def check_named(named: Sequence[str], items: Sequence[Retired]) -> list[str]:
    """The paths that are named, letter by letter or as the list shows them. Raises NotRetired."""
    known = [item["path"] for item in items]
    chosen: list[str] = []
    for path in named:
        matches = _matches(path, known)
        if len(matches) != 1:
            raise NotRetired(path=path, known=", ".join(map(shown, known)) or "none")
        chosen += matches
    return chosen


def say(item: Retired) -> str:
    """For people."""
    newest = f", newest of {item['newest']}" if item["newest"] else ""
    return f"{item['path']} ({item['files']} files, {say_size(item['bytes'])}{newest})"
