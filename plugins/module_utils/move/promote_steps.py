# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps where the state that the state disk's mount shadows counts, and not what is on the disk.

Containers come up on whatever shows at the mount point, and so does a boot's. While the disk is
still mounted the way back leads to all as it was before; once it is unmounted, to what
it shadowed: that is the state, by decision, and then a plain directory, as before a copy. fstab says
the same as what shows before anything is started, so that no boot brings the other copy up.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.copy.copy_errors import SourceUnproved
from ..core.disks.disks import COPY_TARGET, FORMATTED
from ..core.layout import switch
from ..core.move.move_status import INCOMPLETE, SEALED
from ..system.copy.duckdb_check import DATABASE
from ..system.disks import filesystems, formatting
from ..system.host import durable, record
from ..system.layout import markers, trees
from ..system.move import moving, units
from ..system.move.moving import STAGE
from . import places
from .common import Act, unmount
from .context import MoveContext
from .copy_steps import device_with, mount_stage, precopy, set_role


def is_shadowed(move: MoveContext) -> bool:
    """Whether the disk is still mounted over the state."""
    return move.look(containers=False).mounted(move.source.mounts["state"])


def _drop_old_line(move: MoveContext) -> None:
    old, new = move.source.mounts["state"], move.target.mounts["state"]
    text = durable.read_text(filesystems.FSTAB) or ""
    durable.write(filesystems.FSTAB, switch.without_line(text, old, new))


def _unlist(move: MoveContext) -> None:
    _drop_old_line(move)
    # By its unit of the old fstab systemd would mount the disk again, for whoever requires the path.
    units.reload()


def list_what_shows(move: MoveContext) -> bool:
    """Let fstab have the old line while the disk is mounted, and never after; returns whether it is.

    Written also where it reads right already: the write that made it so may never have been flushed.
    """
    old, new = move.source.mounts["state"], move.target.mounts["state"]
    if move.intent.aside_begun and is_shadowed(move):
        # Mounted again by somebody: what is on it is set aside by half, or half a copy.
        unmount(old)
    if not is_shadowed(move):
        _drop_old_line(move)
        return False
    text = durable.read_text(filesystems.FSTAB) or ""
    after = switch.with_line_back(text, old, new, move.intent.before.old_line or "")
    durable.write(filesystems.FSTAB, after)
    return True


def _unlist_undo(move: MoveContext) -> None:
    """While the disk is mounted nothing has happened; else it is from now on a disk to copy to."""
    if list_what_shows(move):
        return
    try:
        _aside(move)
    finally:
        unmount(STAGE)


def _check_shadowed(move: MoveContext) -> None:
    """Raise SourceUnproved unless what would show is state: nobody may start on an empty directory."""
    path = move.source.state_dir
    names = [entry["name"] for entry in moving.unmounted(path, all_of_it=True)["entries"]]
    instance = str(moving.shadowed_marker(path).get("instance_id") or "")
    wanted = move.intent.source_instance
    if DATABASE not in names or instance != wanted:
        lacking = f"a marker of '{instance}'" if DATABASE in names else f"no {DATABASE}"
        raise SourceUnproved(
            path=f"{path}, shadowed by the mount there", found=lacking, wanted="state"
        )


def _reveal(move: MoveContext) -> None:
    """Take the disk off the state."""
    if is_shadowed(move):
        _check_shadowed(move)
        unmount(move.source.mounts["state"])


def _is_aside(move: MoveContext) -> bool:
    """Whether what is at the top of the disk is this move's own copy already."""
    with trees.opened(STAGE) as top:
        marker = markers.read_if_any(top)
    return marker.get("role") in (INCOMPLETE, SEALED) and marker.get("move") == move.id


def _aside(move: MoveContext) -> None:
    """First all of it aside, then the marker, then the record: only by both is a disk copied to."""
    uuid = move.intent.uuid
    if move.look(containers=False).mounted(move.target.mounts["state"]):
        # An earlier process has shown its copy, and has been killed.
        unmount(move.target.mounts["state"])
    move.intent.aside_begun = True
    move.save()
    mount_stage(uuid)
    if not _is_aside(move):
        places.set_aside(STAGE, f"{move.id[:8]}-mounted")
        set_role(move, INCOMPLETE)
    recorded = record.load()
    if (recorded["disks"].get(COPY_TARGET) or {}).get("uuid") == uuid:
        return
    known = device_with(uuid)
    if (recorded["disks"].get("state") or {}).get("uuid") == uuid:
        del recorded["disks"]["state"]
    disk = {**move.intent.disk, "device": known["path"], "maj_min": known["maj_min"]}
    formatting.remember(recorded, {**disk, "uuid": uuid}, FORMATTED, COPY_TARGET)


PROMOTE_ACTS: Mapping[str, Act] = {
    "unlist": Act(_unlist, _unlist_undo, ("old_line",)),
    "reveal": Act(_reveal),
    "aside": Act(_aside),
    "whole": Act(precopy),
}
