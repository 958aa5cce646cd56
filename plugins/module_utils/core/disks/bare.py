# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare mount points: what a directory is beneath a mount, or where a disk is missing. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .disks import DiskPlan

IMMUTABLE, WRITABLE, FILLED, UNABLE, UNKNOWN = (
    "immutable",
    "writable",
    "filled",
    "unable",
    "unknown",
)
"""Writable is to become immutable. Of the others, something lies in one that is filled; unable: the
filesystem has no such flag, or this root may not set it; unknown: it can't be looked at."""

_SAID = {
    IMMUTABLE: "nothing can be written beneath the mount",
    WRITABLE: "CAN BE WRITTEN beneath the mount; the next run of site.yml makes it immutable",
    FILLED: "CAN BE WRITTEN beneath the mount, where files are already",
    UNABLE: "CAN BE WRITTEN beneath the mount: its filesystem has no immutable directories",
    UNKNOWN: "can't be looked at beneath the mount",
}


def to_guard(disks: Sequence[DiskPlan], found: Mapping[str, str]) -> list[str]:
    """The bare mount points of mounted disks that a run makes immutable. found: as in Host["bare"].

    One on which a disk is yet to be mounted becomes so with that.
    """
    adopted = [disk.mount_point for disk in disks if disk.action == "adopt"]
    return [path for path in adopted if found.get(path) == WRITABLE]


def say(state: str) -> str:
    """What it means, for people."""
    return _SAID.get(state, _SAID[UNKNOWN])


def how_to_lift(path: str) -> str:
    """The command that makes it an ordinary directory again."""
    return f"'chattr -i {path}' while nothing is mounted there lifts it"
