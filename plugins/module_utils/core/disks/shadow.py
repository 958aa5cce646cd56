# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mount shadows, compared with what is mounted there: leftover, or state?

Nothing is merged, and no copy is chosen: leftovers that the product's own scripts make
by themselves go aside with a move, and anything else is a conflict that an operator
decides: see which_copy.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..copy.manifest import DIRECTORY, FILE, LINK, Entry, show

SAME, ONLY_SHADOWED, ONLY_MOUNTED, DIFFER = "same", "only shadowed", "only mounted", "differ"

STUB = "instance.yaml"
STUB_MAX = 4096
TICK = "agnes-state-applier.tick"
_EMPTY_DIRECTORIES = ("certs", "db-jobs", "lost+found")


@dataclass(frozen=True)
class ComparedPath:
    """One path, and where it is."""

    path: bytes
    where: str
    """same, only shadowed, only mounted or differ."""
    kind: str
    size: int
    mtime_ns: int
    uid: int
    harmless: bool = False
    """Whether the product's scripts make it by themselves; only of what is shadowed."""

    def __str__(self) -> str:
        """For people."""
        size = f", {self.size} bytes" if self.kind == FILE else ""
        return f"{show(self.path)} ({self.kind}{size}, {self.where})"

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), "path": show(self.path)[1:-1]}


def is_harmless(name: str, kind: str, size: int, stub: bool) -> bool:
    """Whether what is at the top of a shadowed directory is a leftover of the product's scripts.

    They make these at every boot or tick, wherever STATE_DIR points; none holds state.
    size: bytes of a file, entries of a directory; stub: what is_stub says of an instance.yaml.
    """
    if kind == DIRECTORY:
        return size == 0 and name in _EMPTY_DIRECTORIES
    if kind != FILE:
        return False
    if name == STUB:
        return size <= STUB_MAX and stub
    return name == TICK or (name.endswith(".lock") and size == 0)


def is_same(shadowed: Entry, mounted: Entry) -> bool:
    """Whether two entries hold the same: kind and content, or where a link points.

    Owners, modes and times may differ: both entries stay, whichever is used. Content
    that is unknown, because the file was being written, is the same as nothing.
    """
    if shadowed.kind != mounted.kind:
        return False
    if shadowed.kind == FILE:
        return bool(shadowed.content) and shadowed.content == mounted.content
    return shadowed.target == mounted.target if shadowed.kind == LINK else True


def harmless(entries: Mapping[bytes, Entry], stub: bool) -> set[bytes]:
    """Paths of the leftovers at the top of a tree."""
    inside: dict[bytes, int] = {}
    for path in entries:
        above = path.rpartition(b"/")[0]
        inside[above] = inside.get(above, 0) + 1
    return {
        path
        for path, entry in entries.items()
        if b"/" not in path
        and is_harmless(
            path.decode("utf-8", "surrogateescape"),
            entry.kind,
            inside.get(path, 0) if entry.kind == DIRECTORY else entry.size,
            stub,
        )
    }


def classify(
    shadowed: Iterable[Entry], mounted: Mapping[bytes, Entry], stub: bool = False
) -> list[ComparedPath]:
    """Each path of either tree, shadowed ones first; ``mounted`` has content where both have the path.

    stub: what is_stub says of the shadowed instance.yaml.
    """
    entries = {entry.path: entry for entry in shadowed if entry.path}
    leftovers = harmless(entries, stub)
    compared = []
    for path, entry in entries.items():
        where = ONLY_SHADOWED
        if path in mounted:
            where = SAME if is_same(entry, mounted[path]) else DIFFER
        compared.append(_compared(entry, where, path in leftovers))
    compared += [
        _compared(e, ONLY_MOUNTED) for path, e in mounted.items() if path and path not in entries
    ]
    return compared


def _compared(entry: Entry, where: str, harmless: bool = False) -> ComparedPath:
    return ComparedPath(
        entry.path, where, entry.kind, entry.size, entry.mtime_ns, entry.uid, harmless
    )  # fmt: skip


def conflicts(paths: Iterable[ComparedPath]) -> list[ComparedPath]:
    """What is shadowed and is neither a leftover nor mounted just the same."""
    return [each for each in paths if each.where not in (ONLY_MOUNTED, SAME) and not each.harmless]


def lost(before: Iterable[Entry], after: Iterable[Entry]) -> list[bytes]:
    """Paths whose content was there before and is nowhere after: by kind and content, or target."""

    def held(entry: Entry) -> tuple[str, str, bytes]:
        return entry.kind, entry.content, entry.target

    there = {held(entry) for entry in after}
    return [entry.path for entry in before if entry.path and held(entry) not in there]
