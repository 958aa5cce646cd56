# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest: what a tree is, entry by entry, so that a copy can be proved equal.

Entries come in the order of a walk: a directory before what is in it, names by
their bytes. Two manifests are compared as streams, so nothing here grows with
the number of files. Content and attributes appear only as keyed hashes, and
differences are told without either: a manifest may speak of secrets.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional

from ..layout.tree import MARKER
from .retired import ASIDE

GRAIN = 65536
"""Bytes. Content is hashed and data segments are recorded in units of it.

No smaller than the blocks of any filesystem that state lies on: so what is a hole
in whole units stays one when a file is copied from one filesystem to another.
"""

FORMAT = 1

SETTLED_NS = 2_000_000_000
"""How long a file must have been left alone before what is read of it counts later, too.

Longer than any tick of a kernel's clock and any filesystem's unit of time: a change after
the read then has another ctime than the file had before it.
"""

DIRECTORY, FILE, LINK = "directory", "file", "link"


@dataclass(frozen=True)
class Rules:
    """What a manifest leaves out; it is part of it, and rsync is told the same."""

    without: tuple[str, ...] = (
        MARKER,
        "lost+found",
        "duckdb-tmp",
        "db-state-applier.lock",
        "db-migration.lock",
        ASIDE,
    )
    """Names at the top of the tree: our marker, scratch, locks, and what was set aside before."""
    attributes_without: tuple[str, ...] = (
        "security.selinux",
        "trusted.SGI_ACL_FILE",
        "trusted.SGI_ACL_DEFAULT",
    )
    """Labels belong to the place: a mount with a context gives them, and can't be told others.
    The other two are how XFS stores what everybody sees as ACLs, which are not left out."""

    def leaves_out(self, path: bytes) -> bool:
        """Whether an entry with this path is left out, together with what is in it."""
        return path.decode("utf-8", "surrogateescape") in self.without


RULES = Rules()


@dataclass(frozen=True)
class Entry:
    """One entry of a tree. What a kind does not have is zero or empty."""

    path: bytes
    """Relative to the top, which is empty itself."""
    kind: str
    """directory, file, link, fifo, socket, character or block."""
    uid: int = 0
    gid: int = 0
    mode: int = 0
    mtime_ns: int = 0
    """Zero for the top: our marker is written there, which moves it."""
    size: int = 0
    content: str = ""
    """Keyed hash of a file; empty when it changed while it was read, which equals nothing."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Extended attributes, ACLs among them, by name: keyed hashes."""
    first: Optional[bytes] = None
    """For a file with several names: the one that came first. None when it has only one."""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    segments: tuple[tuple[int, int], ...] = ()
    """Where the filesystem has data, in units of GRAIN: from, to."""
    flags: str = ""
    """immutable, append-only or both."""


@dataclass(frozen=True)
class Difference:
    """One difference between a source and its copy; ``what`` has no content in it."""

    path: bytes
    what: str

    def __str__(self) -> str:
        """For people, on one line whatever the name holds."""
        return f"{show(self.path)}: {self.what}"


def show(path: bytes) -> str:
    """A path for people: on one line, and no byte of it reaches a terminal unescaped."""
    text = path.decode("utf-8", "backslashreplace") or "."
    return "'" + "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + "'"


def order(path: bytes) -> tuple[bytes, ...]:
    """Sort key of a walk: parents first, names by their bytes."""
    return tuple(path.split(b"/")) if path else ()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


_FIELDS = tuple(field.name for field in fields(Entry))


def to_line(entry: Entry) -> bytes:
    """An entry as one line of a file; whatever its name is, the line is ASCII."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
    values["path"], values["target"] = _text(entry.path), _text(entry.target)
    values["first"] = None if entry.first is None else _text(entry.first)
    return json.dumps(list(values.values()), separators=(",", ":")).encode("ascii") + b"\n"


def from_line(line: bytes) -> Entry:
    """The entry of a line that to_line made."""
    values = dict(zip(_FIELDS, json.loads(line)))
    values["path"], values["target"] = _bytes(values["path"]), _bytes(values["target"])
    values["first"] = None if values["first"] is None else _bytes(values["first"])
    for name in ("attributes", "segments"):
        values[name] = tuple((pair[0], pair[1]) for pair in values[name])
    values["device"] = (values["device"][0], values["device"][1])
    return Entry(**values)


def essence(entry: Entry) -> bytes:
    """What must be equal in a copy, for the digest of a whole tree.

    Without the segments: a copy may have a hole where the source has zeros on disk.
    """
    return to_line(Entry(**{**{n: getattr(entry, n) for n in _FIELDS}, "segments": ()}))


def _within(segments: Iterable[tuple[int, int]], wider: Iterable[tuple[int, int]]) -> bool:
    """Whether each of ``segments`` lies within one of ``wider``; both sorted and apart."""
    rest = iter(wider)
    hold = next(rest, None)
    for start, end in segments:
        while hold is not None and hold[1] <= start:
            hold = next(rest, None)
        if hold is None or start < hold[0] or end > hold[1]:
            return False
    return True


def _attribute_differences(source: Entry, target: Entry) -> Iterator[str]:
    left, right = dict(source.attributes), dict(target.attributes)
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            yield f"attribute {name} is missing in the copy"
        elif name not in left:
            yield f"attribute {name} is in the copy only"
        elif left[name] != right[name]:
            yield f"attribute {name} differs"


def _say(name: str, value: Any) -> str:
    if name == "mode":
        return f"{value:04o}"
    if name in ("first", "target"):
        return "none" if value is None else show(value)
    return str(value) if value != "" else "none"


_SAID = {
    "uid": "owner", "gid": "group", "mode": "mode", "mtime_ns": "mtime", "size": "size",
    "first": "hard link to", "target": "link to", "device": "device", "flags": "flags",
}  # fmt: skip


def entry_differences(source: Entry, target: Entry) -> Iterator[str]:
    """What differs between two entries of one path."""
    if source.kind != target.kind:
        yield f"a {source.kind} in the source, a {target.kind} in the copy"
        return
    for name, said in _SAID.items():
        left, right = getattr(source, name), getattr(target, name)
        if left != right:
            yield f"{said} {_say(name, left)} in the source, {_say(name, right)} in the copy"
    if source.kind == FILE:
        if not source.content or not target.content:
            yield "content changed while it was read"
        elif source.content != target.content:
            yield "content differs"
        if not _within(target.segments, source.segments):
            yield "the copy has data on disk where the source has a hole"
    yield from _attribute_differences(source, target)


def differences(source: Iterable[Entry], target: Iterable[Entry]) -> Iterator[Difference]:
    """All differences between two manifests, in order; both are read once, side by side."""
    left, right = iter(source), iter(target)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and order(one.path) < order(other.path)):
            if one is None:
                raise AssertionError("one of the two has an entry")
            yield Difference(one.path, "is missing in the copy")
            one = next(left, None)
        elif one is None or order(other.path) < order(one.path):
            yield Difference(other.path, "is in the copy only")
            other = next(right, None)
        else:
            for what in entry_differences(one, other):
                yield Difference(one.path, what)
            one, other = next(left, None), next(right, None)


def is_settled(ctime_ns: int, now_ns: int) -> bool:
    """Whether a file that is looked at now can't change any more without another ctime.

    One of the future never is: the clock has been set back, and may come by that time again.
    """
    return ctime_ns <= now_ns - SETTLED_NS


def first_few(differing: Iterable[Difference], limit: int = 5) -> tuple[int, list[str]]:
    """How many differences there are, and the first of them for people."""
    rest = iter(differing)
    shown = [str(each) for each in itertools.islice(rest, limit)]
    return len(shown) + sum(1 for _each in rest), shown


@dataclass(frozen=True)
class Totals:
    """What a manifest adds up to."""

    entries: int = 0
    files: int = 0
    size: int = 0
    """Bytes of all files, each once."""
    allocated: int = 0
    """Bytes on disk of all that has any, each once."""
    inodes: int = 0
    digest: str = ""
    """Keyed, over what must be equal in a copy."""
    flagged: tuple[str, ...] = ()
    """Some of the entries with flags that no copy carries."""
    outside: tuple[str, ...] = ()
    """Some of the files that have more names than the tree has."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for a journal or the marker."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def header(rules: Rules) -> dict[str, Any]:
    """The first line of a manifest on disk: by which rules it was made."""
    return {
        "format": FORMAT,
        "grain": GRAIN,
        "without": list(rules.without),
        "attributes_without": list(rules.attributes_without),
    }


def same_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two manifests can be compared at all."""
    return dict(one) == dict(other)
