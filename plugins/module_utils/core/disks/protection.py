# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount points themselves: what the directory is while its disk is away, or mounted over it. No I/O."""

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
    IMMUTABLE: "nothing can be written to it while it is unmounted",
    WRITABLE: "CAN BE WRITTEN while it is unmounted; the next run of site.yml makes it immutable",
    FILLED: "CAN BE WRITTEN while it is unmounted, and has files already",
    UNABLE: "CAN BE WRITTEN while it is unmounted: its filesystem has no immutable directories",
    UNKNOWN: "can't be looked at without its mount",
}


def becomes_immutable(action: str, state: str) -> bool:
    """Whether a run makes the mount point of a disk immutable. action: of its plan; state: as in Host["protection"]."""
    return action == "adopt" and state == WRITABLE


def to_protect(disks: Sequence[DiskPlan], states: Mapping[str, str]) -> list[str]:
    """The mount points of mounted disks that a run makes immutable. states: as in Host["protection"].

    One on which a disk is yet to be mounted becomes so with that.
    """
    return [
        disk.mount_point
        for disk in disks
        if becomes_immutable(disk.action, states.get(disk.mount_point, UNKNOWN))
    ]


def say(state: str) -> str:
    """What it means, for people."""
    return _SAID.get(state, _SAID[UNKNOWN])


def how_to_lift(path: str) -> str:
    """The command that makes it an ordinary directory again."""
    return f"'chattr -i {path}' while nothing is mounted there lifts it"
