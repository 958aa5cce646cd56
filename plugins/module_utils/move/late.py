# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes first when an interrupted move goes on: disks that came too late for the boot are mounted.

Only what the move has recorded and /etc/fstab has a line for, and nothing over a stack that runs on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from ..core.disks import fstab
from ..core.host.errors import Refusal
from ..core.layout.layouts import is_below
from ..core.move.move_errors import MoveDiskAway
from ..core.move.move_status import MoveStatus
from ..core.move.presence import Seen, late, may_show, must_show
from ..system.disks import devices, filesystems, fstab_file, mountinfo
from ..system.host.waiting import until
from ..system.move import ledger, moving
from .common import remember_left_stopped
from .context import MoveContext

BOOT_SECONDS = 90.0
"""How long a move that goes on after a boot waits for a disk; a run does not wait, but refuses."""


def _shown(places: list[str]) -> dict[str, str]:
    """Mount point -> UUID of the whole filesystem on top; empty for a part of one."""
    shown = {}
    for path in {line.target for line in mountinfo.read()} & set(places):
        _device, uuid, root = moving.mount_at(path)
        shown[path] = uuid if root == "/" else ""
    return shown


def _devices(uuid: str) -> list[str]:
    known = devices.devices()
    return [d["maj_min"] for d in known if d["filesystem"].get("uuid") == uuid]


def _to_mount(move: MoveContext, status: MoveStatus) -> list[tuple[str, str]]:
    data_uuid = move.intent.data_uuid
    wanted = {**must_show(status, data_uuid), **may_show(status)}
    shown = _shown(list(wanted))
    if all(shown.get(path) == uuid for path, uuid in wanted.items()):
        # Each disk is asked for what it is only where one is not in its place.
        return []
    attached = [d["filesystem"].get("uuid", "") for d in devices.devices()]
    entries = fstab.entries(fstab_file.read(filesystems.FSTAB))
    return late(status, data_uuid, Seen(shown, attached, {entry.mount_point for entry in entries}))


def _clear(move: MoveContext) -> None:
    """Remove the containers that the boot has started on unmounted mount points: they would not see the mounts."""
    if not move.project.running():
        return
    move.say(
        "Docker has started the stack without its disks: it is stopped, and started again once they are mounted"
    )
    remember_left_stopped(move)
    move.went_down()
    move.project.down()


def _unmount_below(move: MoveContext, paths: list[str]) -> None:
    """Unmount the state disk where a disk which belongs above it will shadow it."""
    for point in reversed(moving.points()):
        target, is_state = point["target"], point["uuid"] == move.intent.uuid
        if is_state and any(is_below(target, path) and target != path for path in paths):
            filesystems.unmount(target)


def _say_shadowed(move: MoveContext, path: str) -> None:
    """What was written to the unmounted mount point stays there, and somebody should know."""
    with suppress(OSError):
        names = sorted(name for name in os.listdir(path) if name != "lost+found")
        if names:
            text = f"the mount at {path} shadows {', '.join(names[:5])}"
            move.say(text)
            ledger.note(move.id, "late", "shadows", text)


def mount_late(move: MoveContext, seconds: float = 0.0, say: Callable[[str], None] = print) -> None:
    """Mount what came too late; ``seconds``: how long a disk that is away is waited for.

    Raises a Refusal when what the move needs can't be mounted; nothing has been changed then.
    """
    move.say = say
    status = move.look(containers=False)
    to_mount: list[tuple[str, str]] = []
    away: list[Refusal] = []

    def there() -> bool:
        away.clear()
        try:
            to_mount[:] = _to_mount(move, status)
        except MoveDiskAway as refusal:
            away.append(refusal)
        return not away

    if not until(there, seconds, 1.0):
        raise away[0]
    if to_mount:
        _clear(move)
        _unmount_below(move, [path for path, _uuid in to_mount])
    for path, uuid in to_mount:
        _say_shadowed(move, path)
        # A program of a unit: what it prints goes to the journal.
        said = f"mount {uuid} at {path}: it is attached, but not mounted"
        say(said)  # pylint: disable=ansible-bad-function
        filesystems.mount(path, *_devices(uuid))
        ledger.note(move.id, "late", "mounted", f"{uuid} at {path}")
