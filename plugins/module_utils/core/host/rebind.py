# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk may be taken for this host's own, by an operator who says why. No I/O.

It is for a disk and a host that went different ways: a disk was restored from a snapshot or replaced,
or what the host knew of its disks is lost. What is on the disk decides whether it can be meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..disks.claims import claims
from ..disks.devices import about
from ..layout.generation import KEY, number
from ..layout.layouts import Layout
from ..layout.tree import DATABASE
from ..move.move_status import ACTIVE
from .facts import Device, Inside
from .rebind_errors import RebindNoReason, RebindNotNow, RebindNotOneDisk, RebindNotThisDisk
from .text import say_size

RESTORE, NEW_BOOT_DISK, REPLACED = "restore", "new-boot-disk", "replaced"
REASONS = (RESTORE, NEW_BOOT_DISK, REPLACED)
"""The words for ``--because``: a snapshot or backup came back; what the host knew is lost; the disk is a new one."""

REBINDS = "rebinds"
"""Key of the record: what was rebound, when and why, the newest last."""
KEPT_REBINDS = 20


@dataclass(frozen=True)
class Asked:
    """A disk that is to be this host's own, as it was found."""

    role: str
    uuid: str
    mount_point: str
    device: Device
    inside: Inside
    mounted: bool
    """Whether it is what its mount point shows, as a whole."""
    holds_state: bool
    """Whether state is on it: the state disk, or the data disk where there is none."""


@dataclass(frozen=True)
class Database:
    """The files of the database, and its rows."""

    size: int
    written: str
    """When the newest of them was written, as UTC, and how long that is ago."""
    rows: Mapping[str, int]
    uncounted: str
    """Why the rows are not known; empty where they are."""


def check_reason(because: str) -> None:
    """Raise RebindNoReason unless it is one of REASONS."""
    if because not in REASONS:
        problem = f"'{because}' is no reason that is known" if because else "no reason was given"
        raise RebindNoReason(found=problem, known=", ".join(REASONS))


def one_device(role: str, uuid: str, known: Sequence[Device]) -> Device:
    """The device with this filesystem. Raises RebindNotOneDisk."""
    # A device that another one is made of has no filesystem of its own.
    carriers = [d for d in known if d["filesystem"].get("uuid") == uuid and not d["holders"]]
    if len(carriers) != 1:
        paths = ", ".join(each["path"] for each in carriers)
        where = f"{len(carriers)} devices ({paths})" if carriers else "no device here"
        raise RebindNotOneDisk(uuid=uuid, role=role, found=where)
    return carriers[0]


def marker_of(asked: Asked) -> Mapping[str, Any]:
    """The marker of the state on the disk; empty for none."""
    contents = asked.inside["contents"]
    if not contents or not asked.holds_state:
        return {}
    return contents["marker"] if asked.role == "state" else contents["state_marker"]


def check_disk(
    asked: Asked, layout: Layout, recorded: Mapping[str, Any], because: str = ""
) -> None:
    """Raise RebindNotThisDisk unless what is on the disk is what its role needs, in this layout.

    because: also whether the reason fits; empty where none was given yet.
    """

    def refuse(reason: str, action: str) -> RebindNotThisDisk:
        return RebindNotThisDisk(
            device=asked.device["path"], uuid=asked.uuid, role=asked.role, found=reason,
            action=action,
        )  # fmt: skip

    unknown, contents = asked.inside["unknown"], asked.inside["contents"]
    if unknown or contents is None:
        raise refuse(f"it can't be looked into ({unknown})", "make it readable, and run this again")
    said = claims("", asked.inside)
    if asked.role == "data" and said["state"]:
        raise refuse(f"it is a state disk ({', '.join(said['state'])})", "name the data disk")
    if asked.role == "data" and not (said["data"] or contents["state_marker"]):
        raise refuse("it holds nothing of data's", "name the disk that does")
    if asked.role == "state" and not said["state"]:
        raise refuse("it holds no state", "name the disk that does; this command never makes one")
    marker = marker_of(asked)
    if asked.holds_state and not marker and DATABASE not in _names(asked):
        raise refuse("it holds no state", "name the disk that does; this command never makes one")
    if not marker:
        return
    role, name = marker.get("role"), marker.get("layout")
    if role != ACTIVE:
        raise refuse(
            f"the marker there says that it is not in use (role {role or 'none'})",
            "name the disk with the state in use; docs/moving.md says what a move leaves",
        )
    if name != layout.name:
        raise refuse(
            f"the state there was in layout {name or 'none'}, and this host is in layout {layout.name}",
            "mount it as it was and set STATE_DIR as that layout has it, or name another disk",
        )
    mine, there = str(recorded.get("instance_id") or ""), str(marker.get("instance_id") or "")
    if because and because != NEW_BOOT_DISK and mine and there != mine:
        raise refuse(
            f"it belongs to instance {there or 'none'}, and this host is instance {mine}",
            f"if this host was made anew, say --because {NEW_BOOT_DISK}; else name the right disk",
        )


def _names(asked: Asked) -> Sequence[str]:
    contents = asked.inside["contents"]
    if not contents:
        return []
    return contents["names"] if asked.role == "state" else contents["state_names"]


def check_now(
    asked: Asked, recorded: Mapping[str, Any], known: Sequence[Device], shown: str, running: Sequence[str]
) -> None:  # fmt: skip
    """Raise RebindNotNow while something else is mounted in its place, or the old disk is in use.

    shown: what is mounted at the mount point, for people, if it is not this disk; running: names of
    the project's containers that run.
    """
    stop = "stop the stack ('docker compose --profile '*' stop' in /opt/agnes)"
    if shown:
        raise RebindNotNow(
            found=f"{shown} is mounted at {asked.mount_point}",
            action=f"{stop}, and unmount it",
        )
    old = str(((recorded.get("disks") or {}).get(asked.role) or {}).get("uuid") or "")
    for each in known:
        if old and old != asked.uuid and each["filesystem"].get("uuid") == old:
            if each["holders"] or not each["exclusive"]:
                raise RebindNotNow(
                    found=f"the {asked.role} disk that the record has ({each['path']}, UUID {old}) is in use",
                    action=f"{stop}, and unmount it",
                )
    if not asked.mounted and running:
        raise RebindNotNow(
            found=f"the stack runs without it ({', '.join(running)})", action=stop
        )  # fmt: skip
    if not asked.mounted and not asked.device["exclusive"]:
        raise RebindNotNow(
            found=f"{asked.device['path']} is in use, and not mounted at {asked.mount_point}",
            action="unmount it",
        )


def lines(
    asked: Asked, recorded: Mapping[str, Any], kept: Mapping[str, Any], known: Sequence[Device],
    database: Optional[Database],
) -> list[str]:  # fmt: skip
    """What is on the disk, for people, before anything is changed."""
    device, contents, marker = asked.device, asked.inside["contents"], marker_of(asked)
    where = f"mounted at {asked.mount_point}" if asked.mounted else "not mounted"
    filesystem = f"{device['filesystem'].get('type', 'unknown')}, UUID {asked.uuid}"
    said = [
        f"{asked.role + ' disk':<12} {device['path']} ({about(device, known)}; {filesystem}), {where}"
    ]
    old = str(((recorded.get("disks") or {}).get(asked.role) or {}).get("uuid") or "none")
    said.append(f"{'record':<12} {'has this disk' if old == asked.uuid else f'has UUID {old}'}")
    if not asked.holds_state:
        newest = contents["newest"] if contents else ""
        said.append(f"{'written':<12} {newest or 'unknown'} UTC, the newest at its top")
        return said
    if marker:
        said.append(
            f"{'marker':<12} instance {marker.get('instance_id') or 'none'}, layout "
            f"{marker.get('layout') or 'none'}, epoch {marker.get('epoch') or 'none'}, count {number(marker)} "
            f"(this host has counted to {number(kept)})"
        )
    else:
        said.append(f"{'marker':<12} none")
    if database is None:
        said.append(f"{'database':<12} none")
        return said
    said.append(
        f"{'database':<12} {DATABASE}: {say_size(database.size)}, last written {database.written}"
    )
    said.append(f"{'rows':<12} {_rows(database)}")
    return said


def _rows(database: Database) -> str:
    if database.uncounted:
        return f"not counted: {database.uncounted}"
    each = ", ".join(f"{table} {rows}" for table, rows in sorted(database.rows.items()))
    return f"{sum(database.rows.values())} in {len(database.rows)} tables ({each})"


def noted(
    recorded: Mapping[str, Any], disks: Sequence[Asked], kept: Mapping[str, Any], because: str, at: str
) -> list[dict[str, Any]]:  # fmt: skip
    """What the record keeps of it."""
    now = {
        each.role: {
            "uuid": each.uuid,
            "before": str(((recorded.get("disks") or {}).get(each.role) or {}).get("uuid") or ""),
        }
        for each in disks
    }
    counted = {each.role: number(marker_of(each)) for each in disks if each.holds_state}
    entry = {"at": at, "because": because, "disks": now, KEY: {**counted, "host": number(kept)}}
    return [*(recorded.get(REBINDS) or []), entry][-KEPT_REBINDS:]
