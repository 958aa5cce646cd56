# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beneath a mount point, compared with what is mounted there: leftover, or state?

Nothing is merged, and no copy is chosen: leftovers that the product's own scripts make
by themselves go aside, and anything else is a conflict that an operator decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .manifest import DIRECTORY, FILE, LINK, Entry, show

SAME, BENEATH, LIVE, DIFFER = "same", "only beneath", "only live", "differ"

STUB = "instance.yaml"
STUB_MAX = 4096
TICK = "agnes-state-applier.tick"
_EMPTY_DIRECTORIES = ("certs", "db-jobs")
_PLAIN = re.compile(
    r"""^(\s*)([A-Za-z_]+):\s*(?:"([^"]*)"|'([^']*)'|([^\s#"'][^#]*?))?\s*(?:#.*)?$"""
)


@dataclass(frozen=True)
class Found:
    """One path, and where it is."""

    path: bytes
    where: str
    """same, only beneath, only live or differ."""
    kind: str
    size: int
    mtime_ns: int
    uid: int
    harmless: bool = False
    """Whether the product's scripts make it by themselves; only of what is beneath."""

    def __str__(self) -> str:
        """For people."""
        size = f", {self.size} bytes" if self.kind == FILE else ""
        return f"{show(self.path)} ({self.kind}{size}, {self.where})"

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), "path": show(self.path)[1:-1]}


def is_stub(text: str) -> bool:
    """Whether an instance.yaml says that the backend is duckdb, and nothing else."""
    said = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or line.strip() == "---":
            continue
        found = _PLAIN.match(line)
        if not found:
            return False
        indent, key, *values = found.groups()
        said.append((bool(indent), key, next((v for v in values if v is not None), "")))
    return said == [(False, "database", ""), (True, "backend", "duckdb")]


def is_harmless(entry: Entry, names_in_it: Sequence[bytes], stub: str) -> bool:
    """Whether an entry at the top of a hidden directory is a leftover of the product's scripts.

    They make these at every boot or tick, wherever STATE_DIR points; none holds state.
    names_in_it: of a directory; stub: the text of instance.yaml.
    """
    name = entry.path.decode("utf-8", "surrogateescape")
    if entry.kind == DIRECTORY:
        return not names_in_it and name in (*_EMPTY_DIRECTORIES, "lost+found")
    if entry.kind != FILE:
        return False
    if name == STUB:
        return entry.size <= STUB_MAX and is_stub(stub)
    return name == TICK or (name.endswith(".lock") and entry.size == 0)


def is_same(beneath: Entry, live: Entry) -> bool:
    """Whether two entries hold the same: kind and content, or where a link points.

    Owners, modes and times may differ: both entries stay, whichever is used. Content
    that is unknown, because the file was being written, is the same as nothing.
    """
    if beneath.kind != live.kind:
        return False
    if beneath.kind == FILE:
        return bool(beneath.content) and beneath.content == live.content
    return beneath.target == live.target if beneath.kind == LINK else True


def _top(path: bytes) -> bytes:
    return path.split(b"/")[0]


def classify(beneath: Iterable[Entry], live: Mapping[bytes, Entry], stub: str = "") -> list[Found]:
    """Each path of either tree, beneath ones first; ``live`` has content where both have the path.

    stub: the text of instance.yaml beneath, if it is small.
    """
    entries = {entry.path: entry for entry in beneath if entry.path}
    inside: dict[bytes, list[bytes]] = {}
    for path in entries:
        if b"/" in path:
            inside.setdefault(path.rpartition(b"/")[0], []).append(path)
    found = []
    for path, entry in entries.items():
        where = BENEATH
        if path in live:
            where = SAME if is_same(entry, live[path]) else DIFFER
        harmless = b"/" not in path and is_harmless(entry, inside.get(path, []), stub)
        found.append(_found(entry, where, harmless))
    found += [_found(e, LIVE) for path, e in live.items() if path and path not in entries]
    return found


def _found(entry: Entry, where: str, harmless: bool = False) -> Found:
    return Found(
        entry.path, where, entry.kind, entry.size, entry.mtime_ns, entry.uid, harmless
    )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What to do with what lies beneath."""

    quarantine: tuple[bytes, ...]
    """Names at the top that may go aside: leftovers, and what the live tree has just the same."""
    conflicts: tuple[Found, ...]
    """Everything else beneath, for the operator."""


def judge(found: Iterable[Found]) -> Verdict:
    """Leftovers and equal copies go aside, whole names at a time; anything else is a conflict.

    A name goes aside only if all that is in it may.
    """
    beneath = [each for each in found if each.where != LIVE]
    kept = {_top(each.path) for each in beneath if not (each.harmless or each.where == SAME)}
    tops = dict.fromkeys(_top(each.path) for each in beneath)
    conflicts = [e for e in beneath if _top(e.path) in kept and not (e.harmless or e.where == SAME)]
    return Verdict(tuple(top for top in tops if top not in kept), tuple(conflicts))


def lost(before: Iterable[Entry], after: Iterable[Entry]) -> list[bytes]:
    """Paths whose content was there before and is nowhere after: by kind and content, or target."""

    def held(entry: Entry) -> tuple[str, str, bytes]:
        return entry.kind, entry.content, entry.target

    there = {held(entry) for entry in after}
    return [entry.path for entry in before if entry.path and held(entry) not in there]
