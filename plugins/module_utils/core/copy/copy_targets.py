# SPDX-License-Identifier: GPL-3.0-or-later
"""What state is copied to, by kind of move: a disk that is proved fit for it, or a Refusal."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from ..disks.disks import COPY_TARGET, FORMATTING, Request, plan_disks
from ..disks.mounts import Mount, at_state
from ..host.errors import MoveNotSupported, NotBlank
from ..host.facts import Host
from ..host.text import say_size
from ..layout.layouts import Layout
from ..layout.state_on import check_copy_back, check_measured, check_not_config_disk, not_retired
from ..move.move_errors import CopyTargetForeign, MovePlaceInUse, StateRetired
from ..move.move_facts import facts_of_host
from ..move.move_status import RETIRED
from .copy_errors import NoRoom, SourceUnproved
from .copying import ROOM_FACTOR

_USABLE = 0.9
"""What a new filesystem leaves of its disk, at least; the copy itself looks again at what it has."""


class Asked(NamedTuple):
    """A move that is asked for, on a host where none has begun."""

    host: Host
    source: Layout
    target: Layout
    request: Request
    copy_that_counts: str = ""
    """See core/disks/which_copy.py."""

    @property
    def disk_at_old(self) -> Optional[Mount]:
        """The last whole filesystem that is mounted where the source has the state disk, or None."""
        old = self.source.mounts["state"]
        points = at_state(self.host["mounts"])
        return next((p for p in reversed(points) if p["target"] == old and p["root"] == "/"), None)


def unmovable(asked: Asked, kind: str) -> MoveNotSupported:
    """What to say of state that no move can take along; kind: how it is kept, for people."""
    return MoveNotSupported(
        found=asked.source.state_dir, current=asked.source.name, wanted=asked.target.name, kind=kind
    )


def _with_copy_target(host: Host) -> Host:
    """The host as the disks' plan shall see it: the disk of an earlier try is the state disk to be.

    One that is gone was never used, so another may take its place.
    """
    known = host["record"].get("disks") or {}
    recorded = known.get(COPY_TARGET) or {}
    here = [d for d in host["devices"] if d["filesystem"].get("uuid") == recorded.get("uuid")]
    if "state" in known or not recorded or not (here or recorded.get("phase") == FORMATTING):
        return host
    record = {**host["record"], "disks": {**known, "state": recorded}}
    return {**host, "record": record}


def blank_disk(asked: Asked) -> dict[str, Any]:
    """The disk that state in a directory is copied to: blank, or formatted for it by an earlier try."""
    host, source, target, request, _authority = asked
    try:
        data, disk = plan_disks(_with_copy_target(host), target, request)
    except NotBlank as refusal:
        raise not_retired(host, source.state_dir, refusal) from refusal
    if data.action != "adopt":
        raise unmovable(asked, "with no data disk mounted")
    if disk.action == "adopt":
        raise MovePlaceInUse(path=disk.mount_point, found="another filesystem mounted there")
    if disk.action == "mount" and facts_of_host(host)["formatted"] != disk.uuid:
        raise CopyTargetForeign(
            device=disk.device, found=f"{disk.fstype} that this host did not make"
        )
    # Formatted, and the move given up, it would be mounted over the state.
    check_not_config_disk(host, disk.maj_min, disk.device, source.state_dir)
    check_measured(host, source.state_dir)
    wanted = int(host["moving"]["used"] * ROOM_FACTOR)
    if disk.size * _USABLE < wanted:
        raise NoRoom(
            source=source.state_dir, target=disk.device, found=say_size(int(disk.size * _USABLE)),
            wanted=f"{say_size(wanted)}: a tenth more than there is to copy",
        )  # fmt: skip
    return disk.as_dict()


def data_disk(asked: Asked) -> dict[str, Any]:
    """The data disk, into a directory of which state on a disk is copied."""
    host, source, target, request, _authority = asked
    data = plan_disks(host, source, request)[0]
    if data.action != "adopt" or not data.uuid:
        raise unmovable(asked, "with no data disk that has a UUID mounted")
    check_copy_back(host, source, target)
    return data.as_dict()


def disk_above(asked: Asked) -> dict[str, Any]:
    """The disk that is mounted over the state that counts, and to which that is copied."""
    host, source, target, request, _authority = asked
    old = source.mounts["state"]
    shadowed = host["moving"]["shadows"][old]["shadowed"]
    if not shadowed or not shadowed["database"]:
        raise SourceUnproved(
            path=f"{old}, shadowed by the mount there", found="no system.duckdb", wanted="state"
        )
    if shadowed["role"] == RETIRED:
        raise StateRetired(path=old, new=target.mounts["state"])
    if source.needs_state_disk:
        raise unmovable(asked, "with the shadowed copy named as the one that counts")
    disk = plan_disks(host, source, request)[1]
    check_not_config_disk(host, disk.maj_min, disk.device, old)
    free = int(disk.size * _USABLE) - host["moving"]["used"]
    wanted = int(shadowed["bytes"] * ROOM_FACTOR)
    if free < wanted:
        raise NoRoom(
            source=old, target=disk.device, found=say_size(max(0, free)),
            wanted=f"{say_size(wanted)}: a tenth more than there is to copy",
        )  # fmt: skip
    return {**disk.as_dict(), "mount_point": target.mounts["state"]}
