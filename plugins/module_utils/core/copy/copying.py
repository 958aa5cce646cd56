# SPDX-License-Identifier: GPL-3.0-or-later
"""What rsync is told, what it says, and what must hold before it may be started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from .copy_errors import FlaggedFiles, LinkedOutside, NoRoom
from .manifest import Rules, Totals

OPTIONS = ("-aHAXSx", "--numeric-ids", "--delete", "--modify-window=-1", "--no-human-readable")
"""Fixed. Archive; with hard links, ACLs, attributes, holes; on one filesystem; owners by number.

modify-window -1: times count to the nanosecond. Without it rsync takes two times within one
second for the same, passes over a file written again in that second, and leaves links and
directories that it makes in that second with the time of their making.
"""

GROUP = ("system.duckdb*",)
"""The database, its log and what else goes with it: patterns at the top of the tree."""

NEEDED = ("ACLs", "xattrs", "hardlinks", "symlinks", "symtimes")
"""What rsync must have been built with."""

ROOM_FACTOR = 1.1
_WILD = set("*?[]\\/")


def excludes(rules: Rules) -> list[str]:
    """Options that leave out what a manifest leaves out, so that it is neither copied nor deleted."""
    if any(_WILD & set(name) for name in rules.without):
        raise AssertionError(f"rsync would read one of these as a pattern: {rules.without}")
    names = [f"--exclude=/{name}" for name in rules.without]
    # With one rule about attributes, rsync drops its own: ACLs go by -A, not as attributes.
    attributes = ("system.*", *rules.attributes_without)
    return names + [f"--filter=-x {name}" for name in attributes]


def only(patterns: Sequence[str]) -> list[str]:
    """Options that copy nothing but what matches ``patterns`` at the top, and all of it."""
    keep = [f"--include=/{pattern}" for pattern in patterns]
    return [*keep, *[f"--include=/{pattern}/**" for pattern in patterns], "--exclude=/*"]


def arguments(
    rules: Rules, may_delete: int, more: Sequence[str] = (), filters: Sequence[str] = (),
    options: Sequence[str] = OPTIONS,
) -> list[str]:  # fmt: skip
    """All options of a pass. ``filters`` come after those of the rules: the first match counts."""
    return [*options, f"--max-delete={may_delete}", *more, *excludes(rules), *filters]


def max_delete(entries: int) -> int:
    """How much a pass may delete: what a pass before it copied may go, but never most of it."""
    return max(100, entries // 10)


@dataclass(frozen=True)
class Progress:
    """How far a pass is."""

    done: int
    """Bytes."""
    percent: int
    rate: float
    """Bytes a second."""
    seconds_left: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.percent} %, {self.done / 1048576:.0f} MiB at {self.rate / 1048576:.1f} MiB/s, "
            f"{self.seconds_left:.0f} s left"
        )


_PROGRESS = re.compile(
    r"^\s*([\d,]+)\s+(\d+)%\s+([\d.]+)([kMGT]?)B/s\s+(\d+):(\d\d):(\d\d)\b", re.IGNORECASE
)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def parse_progress(line: str) -> Optional[Progress]:
    """The progress in a line of ``--info=progress2``, or None."""
    match = _PROGRESS.match(line)
    if not match:
        return None
    done, percent, speed, unit, hours, minutes, seconds = match.groups()
    left = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return Progress(
        int(done.replace(",", "")), int(percent), float(speed) * _UNITS[unit.lower()], float(left)
    )


@dataclass(frozen=True)
class Stats:
    """What a pass did, or in a dry run would do."""

    entries: int
    files: int
    """Files copied."""
    copied: int
    """Bytes of the files copied."""
    deleted: int


def _number(text: str, label: str) -> int:
    match = re.search(rf"^{re.escape(label)}: ([\d,.]+)", text, re.MULTILINE)
    return int(re.sub(r"[,.]", "", match.group(1))) if match else 0


def parse_stats(text: str) -> Stats:
    """The numbers of ``--stats``."""
    return Stats(
        _number(text, "Number of files"),
        _number(text, "Number of regular files transferred"),
        _number(text, "Total transferred file size"),
        _number(text, "Number of deleted files"),
    )


def lacking(version: str) -> list[str]:
    """What an rsync lacks, by its ``--version``."""
    # One item each: what is not built in is listed as "no ACLs".
    items = {item.strip() for item in re.split(r"[,\n]", version)}
    return [name for name in NEEDED if name not in items]


_LIVE = (
    "file has vanished: ", "No data available (61)", "No such file or directory (2)",
    "failed verification -- update discarded.",
)  # fmt: skip
"""What rsync prints of a file that went, or became shorter, while it was copied; the last when it did so twice."""
_PARTIAL, _VANISHED = 23, 24
_NO_CAUSE = ("rsync error:", "rsync warning:", "IO error encountered -- skipping file deletion")


def is_live(status: int, errors: str) -> bool:
    """Whether a pass failed only because the stack was running: files went or were cut short.

    Each error that rsync wrote must be of that kind. A later pass copies what this one
    could not; only the last one must end without any error.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    causes = [line for line in lines if not line.startswith(_NO_CAUSE)]
    if status not in (_PARTIAL, _VANISHED) or not causes:
        return False
    return all(any(sign in line for sign in _LIVE) for line in causes)


@dataclass(frozen=True)
class Room:
    """What a filesystem has left."""

    free: int
    inodes_free: int
    inodes: int
    """Zero where the filesystem makes them as it needs them."""


def lacks_room(source: Totals, room: Room, there: Totals) -> Optional[tuple[str, str]]:
    """What is found and what is wanted when a copy does not fit, or None.

    there: what an earlier try has already copied to the target.
    """
    wanted = int(source.allocated * ROOM_FACTOR)
    room_there = room.free + there.allocated
    if room_there < wanted:
        return f"{room_there} bytes", f"{wanted} bytes: a tenth more than there is to copy"
    inodes = room.inodes_free + there.inodes
    if room.inodes and inodes < source.inodes:
        return f"{inodes} inodes", f"{source.inodes}: one for each file"
    return None


def check_flags(path: str, source: Totals) -> None:
    """Raise FlaggedFiles if there is a file that no copy is equal to."""
    if source.flagged:
        raise FlaggedFiles(root=path, found=", ".join(source.flagged))


def check_names(path: str, source: Totals) -> None:
    """Raise LinkedOutside if a file has a name that the copy can't have: outside of the tree."""
    if source.outside:
        raise LinkedOutside(root=path, found=", ".join(source.outside))


def check_room(paths: tuple[str, str], source: Totals, room: Room, there: Totals) -> None:
    """Raise NoRoom unless a copy from the first of ``paths`` to the second fits."""
    lacks = lacks_room(source, room, there)
    if lacks:
        raise NoRoom(source=paths[0], target=paths[1], found=lacks[0], wanted=lacks[1])


@dataclass(frozen=True)
class Proof:
    """What a directory must be before a copy of it may delete anything at the target."""

    maj_min: str
    """The device with the filesystem UUID that state was observed on."""
    is_mount: bool
    """Whether it is the top of that filesystem; a directory of the data disk is not."""
    marker: Mapping[str, Any] = field(default_factory=dict)
    """Values that our marker in it must have; empty for state that never had one."""
    holds: tuple[str, ...] = ("system.duckdb",)
    """Names that must be in it when no marker is asked for."""


def unproved(
    proof: Proof, maj_min: str, is_mount: bool, names: Sequence[str], marker: Mapping[str, Any]
) -> Optional[tuple[str, str]]:
    """What is found and what is wanted when a directory is not what shall be copied, or None."""
    if maj_min != proof.maj_min:
        return f"device {maj_min}", f"device {proof.maj_min}"
    if is_mount != proof.is_mount:
        said = ("a plain directory", "a mount point")
        return said[is_mount], said[proof.is_mount]
    if not names:
        return "an empty directory", "state"
    for key, value in proof.marker.items():
        if marker.get(key) != value:
            return f"a marker with {key} {marker.get(key)!r}", f"{key} {value!r}"
    missing = [] if proof.marker else [name for name in proof.holds if name not in names]
    return (f"no {missing[0]}", "state") if missing else None
