# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks a move that goes on must find mounted, and what to mount first where one came late.

A boot waits for a disk for a while only. What fstab names and the move has recorded is
mounted then as that boot would have done it; asked in the plan and by the runner alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..disks.disks import DIRECTORY, DISK
from ..layout.layouts import is_below
from .move_errors import MountLineMissing, MoveDiskAway, OtherDiskShown, UuidTwice
from .move_kinds import SHADOWED
from .move_status import MoveStatus


@dataclass(frozen=True)
class Seen:
    """What of it the host shows."""

    shown: Mapping[str, str]
    """Mount point -> UUID of the whole filesystem that is on top there; empty for any other mount."""
    attached: Sequence[str]
    """UUIDs of the filesystems of all disks, as often as they are there."""
    listed: Collection[str]
    """Mount points that have a line in /etc/fstab."""


def must_show(status: MoveStatus, data_uuid: str) -> dict[str, str]:
    """Mount point -> UUID of what must be there before anything is written below it."""
    needed = {status.source.mounts["data"]: data_uuid} if data_uuid else {}
    if status.committed and status.kind.state_goes == DISK:
        needed[status.new] = status.uuid
    elif not status.committed and status.kind.state_was == DISK:
        needed[status.old] = status.uuid
    return needed


def may_show(status: MoveStatus) -> dict[str, str]:
    """The same of what is there as long as fstab says so: a disk that state goes to, or has left."""
    kind = status.kind
    may = kind.state_goes == DIRECTORY if status.committed else kind.state_was == SHADOWED
    return {status.old: status.uuid} if may else {}


def away(path: str, uuid: str, shown: str) -> MoveDiskAway:
    """What to say of a disk that is not in its place.

    uuid: its UUID; shown: the UUID of what is mounted there instead, empty where nothing is.
    """
    if shown:
        return OtherDiskShown(path=path, uuid=uuid, found=f"another filesystem (UUID {shown})")
    return MoveDiskAway(path=path, uuid=uuid, found="no disk")


def late(status: MoveStatus, data_uuid: str, seen: Seen) -> list[tuple[str, str]]:
    """Mount point and UUID of each disk to be mounted before the move goes on, in order.

    Raises MoveDiskAway, OtherDiskShown, MountLineMissing or UuidTwice where that can't be.
    """
    to_mount: list[tuple[str, str]] = []
    needed = must_show(status, data_uuid)
    for path, uuid in {**needed, **may_show(status)}.items():
        # What is mounted on the unmounted directory would be shadowed by the disk that belongs above it.
        shadowed = any(is_below(path, above) for above, _uuid in to_mount)
        if seen.shown.get(path) == uuid and not shadowed:
            continue
        needs = path in needed
        if path in seen.shown and seen.shown[path] != uuid:
            if needs:
                raise away(path, uuid, seen.shown[path] or "none")
            continue
        count = seen.attached.count(uuid)
        if count > 1:
            raise UuidTwice(path=path, uuid=uuid, found=count)
        if needs and not count:
            raise MoveDiskAway(path=path, uuid=uuid, found="no such disk attached")
        if needs and path not in seen.listed:
            raise MountLineMissing(path=path, uuid=uuid)
        if count and path in seen.listed:
            to_mount.append((path, uuid))
    return to_mount


def say_late(path: str, uuid: str) -> str:
    """For people."""
    return f"mount the disk with UUID {uuid} at {path} by its line in /etc/fstab: it is attached, but not mounted"
