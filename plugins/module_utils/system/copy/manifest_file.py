# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests as files: written as a tree is walked, compared line by line.

They have names and keyed hashes in them: root's only, and never below a directory
that others may read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Optional

from ...core.copy import manifest as core
from ...core.copy.manifest import FILE, GRAIN, RULES, Entry, Rules, Totals
from ..host import durable
from .manifest import Reader, new_key, walk_with_stat
from .memory import Memory


@dataclass
class _Sum:
    """Adds a tree up."""

    reader: Reader
    entries: int = 0
    files: int = 0
    size: int = 0
    allocated: int = 0
    inodes: int = 0
    flagged: list[str] = field(default_factory=list)
    links: dict[bytes, list[int]] = field(default_factory=dict)
    """First name -> how many names were seen, how many there are."""

    def add(self, entry: Entry, info: os.stat_result) -> None:
        """Count one entry."""
        self.entries += 1
        if entry.flags and len(self.flagged) < 5:
            self.flagged.append(f"{core.show(entry.path)} {entry.flags}")
        if entry.first is not None:
            self.links.setdefault(entry.first, [0, info.st_nlink])[0] += 1
        if entry.first in (None, entry.path):
            self.inodes += 1
            self.allocated += info.st_blocks * 512
            self.size += entry.size
            self.files += entry.kind == FILE

    def totals(self, digest: str) -> Totals:
        """The sum."""
        outside = sorted(core.show(p) for p, (seen, names) in self.links.items() if seen < names)
        return Totals(
            self.entries, self.files, self.size, self.allocated, self.inodes, digest,
            tuple(self.flagged), tuple(outside[:5]),
        )  # fmt: skip


def measure(root: int, rules: Rules = RULES) -> Totals:
    """What a tree adds up to, without reading a file; somebody may be writing there."""
    reader = Reader(rules, new_key(), content=False, quiet=False)
    total = _Sum(reader)
    for entry, info in walk_with_stat(root, reader):
        total.add(entry, info)
    return total.totals("")


def read_ahead(root: int, key: bytes, rules: Rules, memory: Memory, cold: bool = False) -> None:
    """Read a tree, whoever may be writing there, and keep in ``memory`` what will hold later."""
    for _each in walk_with_stat(root, Reader(rules, key, True, False, memory=memory, cold=cold)):
        pass


def record(root: int, file: BinaryIO, reader: Reader) -> Totals:
    """Write the manifest of a quiet tree into ``file``: the rules, the entries, the totals."""
    total, digest = _Sum(reader), reader.hash()
    file.write(json.dumps({"rules": core.header(reader.rules)}).encode() + b"\n")
    for entry, info in walk_with_stat(root, reader):
        digest.update(core.essence(entry))
        file.write(core.to_line(entry))
        total.add(entry, info)
    totals = total.totals(digest.hexdigest())
    file.write(json.dumps({"totals": totals.as_dict()}).encode() + b"\n")
    return totals


def keep(
    root: int, path: str, key: bytes, rules: Rules = RULES, memory: Optional[Memory] = None,
    cold: bool = False,
) -> Totals:  # fmt: skip
    """The manifest of a quiet tree as a file of root's only, whole or not there after a crash.

    memory: what need not be read again; cold: see manifest.Reader.
    """
    reader = Reader(rules, key, content=True, quiet=True, memory=memory, cold=cold)
    folder, name = os.path.split(path)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with durable.replacing(directory, name) as fd, os.fdopen(fd, "wb", closefd=False) as file:
            return record(root, file, reader)
    finally:
        os.close(directory)


def _rules(file: BinaryIO) -> dict[str, Any]:
    """The first line; ValueError unless it is one of a manifest that this version reads."""
    first = json.loads(file.readline() or b"{}")
    rules = first.get("rules") if isinstance(first, dict) else None
    if not rules or rules.get("format") != core.FORMAT or rules.get("grain") != GRAIN:
        raise ValueError("no manifest that this version reads")
    return dict(rules)


def entries(file: BinaryIO) -> Iterator[Entry]:
    """The entries of a manifest on disk; ValueError when it is cut short or of other rules."""
    _rules(file)
    for line in file:
        if line.startswith(b"{"):
            return
        yield core.from_line(line)
    raise ValueError("the manifest is cut short")


def compare(source: BinaryIO, target: BinaryIO, limit: int = 5) -> tuple[int, list[str]]:
    """How many differences two manifests on disk have, and the first of them for people."""
    if not core.same_rules(_rules(source), _rules(target)):
        raise ValueError("the two manifests were made by different rules")
    source.seek(0)
    target.seek(0)
    return core.first_few(core.differences(entries(source), entries(target)), limit)
