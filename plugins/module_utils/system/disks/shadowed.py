# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing what a mount shadows with what is mounted there. Read-only.

Both trees are walked by descriptors and without following links: uid 999 may own either.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ...core.copy.manifest import Entry, Rules
from ...core.disks import shadow
from ...core.disks.shadow import ComparedPath
from ..copy import manifest
from ..layout import markers, trees
from ..move import moving

ALL = Rules(without=())
"""Of what is shadowed nothing is left out."""


@dataclass(frozen=True)
class Tree:
    """One of the two trees."""

    device: int
    inode: int
    entries: dict[bytes, Entry]
    leftovers: frozenset[bytes]
    marker: dict[str, Any]


@dataclass(frozen=True)
class Both:
    """What is mounted at a place, what is shadowed there, and how they compare."""

    mounted: Tree
    shadowed: Tree
    paths: list[ComparedPath]


def _tree(fd: int, entries: dict[bytes, Entry]) -> Tree:
    info = os.fstat(fd)
    leftovers = frozenset(shadow.harmless(entries, moving.has_stub(fd)))
    return Tree(info.st_dev, info.st_ino, entries, leftovers, markers.read_if_any(fd))


def _shadowed(path: str, key: bytes) -> tuple[Tree, bool]:
    """What is shadowed, and whether its instance.yaml is a stub."""
    with moving.shadowed(path) as fd:
        entries = {e.path: e for e in manifest.walk(fd, key, ALL, quiet=False) if e.path}
        return _tree(fd, entries), moving.has_stub(fd)


def _mounted(path: str, key: bytes, sizes: dict[bytes, int]) -> Tree:
    """The mounted tree; files are read only where the same path, shadowed, has the same size."""
    with trees.opened(path) as fd:
        walked = manifest.walk(
            fd, key, ALL, quiet=False, read=lambda p, info: sizes.get(p) == info.st_size
        )
        return _tree(fd, {entry.path: entry for entry in walked if entry.path})


def look(path: str) -> Both:
    """Both trees at ``path``. Raises CanNotLook, TreeCrosses, OSError."""
    key = manifest.new_key()
    shadowed, stub = _shadowed(path, key)
    mounted = _mounted(path, key, {p: entry.size for p, entry in shadowed.entries.items()})
    return Both(
        mounted, shadowed, shadow.classify(shadowed.entries.values(), mounted.entries, stub)
    )
