# SPDX-License-Identifier: GPL-3.0-or-later
"""On what state shall be, a disk of its own or a directory of the data disk, and what stands in the way.

Layout nested allows both at one and the same place, so a layout's name does not say which.
"""

from __future__ import annotations

from typing import Optional

from ..copy.copy_errors import NoRoom, NotMeasured
from ..copy.copying import ROOM_FACTOR
from ..disks.devices import format_text, identity_of, not_blank_because
from ..disks.disks import DIRECTORY, DISK, RETIRED_DISK, device_of, mounted_at, recorded_uuid
from ..host.errors import Refusal
from ..host.facts import Host
from ..host.text import say_size
from ..move.move_errors import (
    ConfigDiskNamed,
    CopyShown,
    DiskRetired,
    StateOnCovered,
    StateOnImpossible,
    StateRetired,
)
from ..move.move_status import INCOMPLETE, RETIRED, SEALED
from .layouts import LAYOUTS, Layout, resolve_state_dir

CONFIG_DISK = "/dev/disk/by-id/google-config-disk"
"""The name by which the product's upgrade looks for a disk to mount at STATE_DIR by itself."""


def check_state_on(host: Host, current: Optional[Layout], chosen: Layout, state_on: str) -> None:
    """Raise unless ``chosen`` can have state on what is asked for, and a move leads there."""
    if state_on not in ("", DISK, DIRECTORY):
        raise StateOnImpossible(asked=state_on, found=f"it may be {DISK} or {DIRECTORY}")
    if state_on == DIRECTORY and chosen.needs_state_disk:
        reason = f"layout {chosen.name} keeps state on a disk of its own"
        raise StateOnImpossible(asked=state_on, found=reason)
    if state_on == DISK and not current and not host["asked"]["state"]["device"]:
        raise StateOnImpossible(asked=state_on, found="disks_state_device names no disk")
    # Where nothing of it shows, a disk that is this host's own still has its state.
    if state_on and current in (None, chosen):
        _check_not_covered(host, chosen, state_on)


def _check_not_covered(host: Host, layout: Layout, state_on: str) -> None:
    """Within one layout the disk's mount would shadow the directory, or the directory be shadowed."""
    # A disk that is this host's own and is not mounted now is mounted by this very run.
    own = bool(recorded_uuid(host, "state"))
    is_mounted = own or mounted_at(host, layout.mounts["state"]) is not None
    if is_mounted == (state_on == DISK):
        return
    place = host["state"].get(layout.state_dir)
    if not is_mounted and not (place and place["names"]):
        return
    through = next(each.name for each in LAYOUTS.values() if each.needs_state_disk)
    medium = "a disk of its own" if is_mounted else "the data disk"
    raise StateOnCovered(
        path=layout.state_dir, found=medium, asked=f"a {state_on}", through=through,
        layout=layout.name,
    )  # fmt: skip


def check_not_config_disk(host: Host, maj_min: str, device: str, path: str) -> None:
    """Raise ConfigDiskNamed when the product would mount this disk over state in a directory at ``path``."""
    named = host["moving"]["config_disk"]
    if named and named == maj_min:
        raise ConfigDiskNamed(link=CONFIG_DISK, path=path, found=device)


def check_measured(host: Host, path: str) -> None:
    """Raise NotMeasured unless it is known what is used, or free, at a path."""
    why = host["moving"]["unmeasured"].get(path)
    if why:
        raise NotMeasured(path=path, found=why)


def check_copy_back(host: Host, source: Layout, target: Layout) -> None:
    """Raise unless state on a disk may become a directory of the data disk, and has room there."""
    facts = host["moving"]
    disk = mounted_at(host, source.mounts["state"])
    if disk:
        check_not_config_disk(host, disk["maj_min"], disk["source"], target.state_dir)
    wanted, data = int(facts["used"] * ROOM_FACTOR), target.mounts["data"]
    check_measured(host, data)
    if facts["free"] < wanted:
        raise NoRoom(
            source=source.state_dir, target=data, found=say_size(facts["free"]),
            wanted=f"{say_size(wanted)}: a tenth more than there is to copy",
        )  # fmt: skip
    if 0 <= facts["free_inodes"] < facts["files"]:
        raise NoRoom(
            source=source.state_dir, target=data, found=f"{facts['free_inodes']} inodes",
            wanted=f"{facts['files']}: one for each file",
        )  # fmt: skip


def check_not_retired(host: Host) -> None:
    """Raise a Refusal when .env leads to what an earlier move has left behind, or to a copy in the making.

    Asked only while no move is under way.
    """
    path = resolve_state_dir(host["env"]["values"])
    place = host["state"].get(path)
    marker = (place["marker"] if place else None) or {}
    if marker.get("role") in (INCOMPLETE, SEALED):
        raise CopyShown(path=path, found=marker["role"])
    if marker.get("role") == RETIRED:
        moved = str((host["record"].get("move") or {}).get("target") or "")
        new = LAYOUTS[moved].state_dir if moved in LAYOUTS else "another place"
        raise StateRetired(path=path, new=new)


def not_retired(host: Host, path: str, refusal: Refusal) -> Refusal:
    """What to say of a disk that is not blank: more, when it is the one that state was on before."""
    device = device_of(host, host["asked"]["state"]["maj_min"])
    known = (host["record"].get("disks") or {}).get(RETIRED_DISK) or {}
    if device is None or not known or device["filesystem"].get("uuid") != known.get("uuid"):
        return refusal
    lost = not_blank_because(device)
    consent = format_text(device, identity_of(device, host["devices"]), lost)
    return DiskRetired(device=device["path"], path=path, found=lost, consent=consent)
