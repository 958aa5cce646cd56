# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done with each disk: the verdict, without touching anything."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Optional

from .errors import (
    ForbiddenMount,
    FstabConflict,
    MountPointInUse,
    NoStateDevice,
    NoSuchDevice,
    NotBlank,
    NotWholeDisk,
    ReadOnlyDevice,
    SameDevice,
    SystemDisk,
    TooSmall,
    WrongDiskMounted,
)
from .facts import Device, Host, Mount
from .layouts import DISKS, Layout

GIB = 1024**3

WHOLE_DISKS = ("disk", "loop")
"""Kinds that may be formatted."""

LABELS = {"data": "agnes-data", "state": "agnes-state"}
"""Label of each filesystem that we make; ext4 allows 16 bytes, xfs 12."""

RECORD_FORMAT = 1


@dataclass(frozen=True)
class DiskPlan:
    """What is to be done for one disk.

    action: ``adopt`` (is mounted, nothing to do), ``format`` (make a
    filesystem, then mount), ``mount`` (ours already, mount it) or
    ``directory`` (state stays a plain directory of the data disk).
    """

    role: str
    action: str
    mount_point: str
    device: str = ""
    maj_min: str = ""
    size: int = 0
    uuid: str = ""
    fstype: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return dict(vars(self))

    @property
    def sentence(self) -> str:
        """For people, before it is done."""
        gib = f"{self.size / GIB:.0f} GiB"
        return {
            "format": f"format {self.device} ({gib}, blank) as {self.fstype} labelled "
            f"{LABELS[self.role]} and mount it at {self.mount_point}",
            "mount": f"mount {self.device} (UUID {self.uuid}, formatted by an earlier run) "
            f"at {self.mount_point}",
            "adopt": f"keep {self.mount_point} as it is mounted (UUID {self.uuid or 'none'})",
            "directory": f"keep {self.mount_point} a directory of the data disk",
        }[self.action]


def mounted_at(host: Host, path: str) -> Optional[Mount]:
    """The mount whose target is ``path``, or None."""
    return next((mount for mount in host["mounts"] if mount["target"] == path), None)


def device_of(host: Host, maj_min: str) -> Optional[Device]:
    """The device with this MAJ:MIN, or None."""
    return next((device for device in host["devices"] if device["maj_min"] == maj_min), None)


def _disks_here(host: Host) -> str:
    return (
        ", ".join(
            f"{device['path']} ({device['size'] / GIB:.0f} GiB)"
            for device in host["devices"]
            if device["kind"] in WHOLE_DISKS
        )
        or "none"
    )


def not_blank_because(device: Device) -> str:
    """Why a device is not proved blank, for a message; empty when it is.

    All must hold: no signature by low-level probes, no partition, no holder,
    opened exclusively, and zeros wherever samples were read.
    """
    reasons = list(device["signatures"])
    if device["partitions"]:
        reasons.append(f"partitions {', '.join(device['partitions'])}")
    if device["holders"]:
        reasons.append(f"in use by {', '.join(device['holders'])}")
    if not reasons and not device["exclusive"]:
        reasons.append("something that keeps it open")
    if not reasons and not device["zeros"]:
        reasons.append("bytes that are not zero, of no known format")
    return ", ".join(reasons)


def only_ours(device: Device, uuid: str) -> bool:
    """Whether all that is on the device can be our own mkfs with this UUID, cut short."""
    if device["partitions"] or device["holders"] or not device["exclusive"]:
        return False
    return not device["signatures"] or device["filesystem"].get("uuid") == uuid


def _cut_short_uuid(host: Host, role: str, device: Device) -> str:
    """The UUID of our mkfs that was killed on this very device, or empty.

    Without a serial, a device is only known to be the same within one boot.
    """
    recorded = _recorded(host, role)
    if recorded.get("phase") != "formatting" or recorded.get("size") != device["size"]:
        return ""
    serial = device["serial"]
    same = (
        recorded.get("serial") == serial
        if serial
        else recorded.get("boot_id") == host["boot_id"]
        and recorded.get("maj_min") == device["maj_min"]
    )
    uuid = str(recorded.get("uuid") or "")
    return uuid if same and only_ours(device, uuid) else ""


def _asked_device(host: Host, role: str) -> Device:
    asked = host["asked"][role]
    variable = f"disks_{role}_device"
    found = asked["found"]
    device = device_of(host, asked["maj_min"]) if not found else None
    if device is None:
        raise NoSuchDevice(
            variable=variable,
            device=asked["device"],
            found=found or "is no disk this host shows",
            disks=_disks_here(host),
        )
    used = [m["target"] for m in host["mounts"] if m["maj_min"] == device["maj_min"]]
    if used:
        raise SystemDisk(
            variable=variable, device=asked["device"], found=f"the mounted {', '.join(used)}"
        )
    if device["kind"] not in WHOLE_DISKS:
        raise NotWholeDisk(variable=variable, device=asked["device"], found=device["kind"])
    return device


def _recorded(host: Host, role: str) -> dict[str, Any]:
    return (host["record"].get("disks") or {}).get(role) or {}


def _recorded_uuid(host: Host, role: str) -> str:
    """The UUID of the filesystem that is this host's own; none while it is being made."""
    recorded = _recorded(host, role)
    return "" if recorded.get("phase") == "formatting" else str(recorded.get("uuid") or "")


def _with_uuid(host: Host, uuid: str) -> Optional[Device]:
    found = [d for d in host["devices"] if uuid and d["filesystem"].get("uuid") == uuid]
    return found[0] if len(found) == 1 else None


def _plan_mounted(host: Host, role: str, mount: Mount) -> DiskPlan:
    recorded = _recorded_uuid(host, role)
    if recorded and mount["uuid"] and recorded != mount["uuid"]:
        raise WrongDiskMounted(mount_point=mount["target"], found=mount["uuid"], wanted=recorded)
    device = device_of(host, mount["maj_min"])
    return DiskPlan(
        role, "adopt", mount["target"], mount["source"], mount["maj_min"],
        device["size"] if device else 0, mount["uuid"], mount["fstype"],
    )  # fmt: skip


def _check_mount_point(host: Host, mount_point: str, uuid: str) -> None:
    for entry in host["fstab"]:
        if entry["mount_point"] == mount_point and entry["spec"] != f"UUID={uuid}":
            raise FstabConflict(line=entry["line"], mount_point=mount_point, found=entry["spec"])
    names = host["mount_points"].get(mount_point) or []
    if names:
        raise MountPointInUse(mount_point=mount_point, found=", ".join(names[:5]))


def _plan_disk(host: Host, role: str, mount_point: str, fstype: str, minimum: int) -> DiskPlan:
    mount = mounted_at(host, mount_point)
    if mount:
        return _plan_mounted(host, role, mount)
    ours = _with_uuid(host, _recorded_uuid(host, role))
    if ours and not ours["holders"]:
        found = ours["filesystem"]
        _check_mount_point(host, mount_point, found["uuid"])
        return DiskPlan(
            role, "mount", mount_point, ours["path"], ours["maj_min"], ours["size"],
            found["uuid"], found["type"],
        )  # fmt: skip
    device = _asked_device(host, role)
    cut_short = _cut_short_uuid(host, role, device)
    reason = "" if cut_short else not_blank_because(device)
    if reason:
        raise NotBlank(device=device["path"], mount_point=mount_point, found=reason)
    if device["read_only"]:
        raise ReadOnlyDevice(device=device["path"], mount_point=mount_point)
    if device["size"] < minimum:
        raise TooSmall(
            device=device["path"], mount_point=mount_point, found=f"{device['size'] / GIB:.1f} GiB",
            wanted=f"{minimum / GIB:.0f} GiB", variable=f"disks_{role}_min_gib",
        )  # fmt: skip
    _check_mount_point(host, mount_point, "")
    return DiskPlan(
        role, "format", mount_point, device["path"], device["maj_min"], device["size"],
        cut_short, fstype,
    )  # fmt: skip


def _stays_directory(host: Host, layout: Layout) -> bool:
    """Whether state is to stay, or to become, a directory of the data disk."""
    if layout.needs_state_disk or mounted_at(host, layout.mounts["state"]):
        return False
    place = host["state"].get(layout.state_dir)
    holds = bool(place and place["kind"] == "directory" and place["names"])
    return holds or not host["asked"]["state"]["device"]


def plan_disks(
    host: Host, layout: Layout, fstype: str = "ext4", min_gib: Optional[dict[str, float]] = None
) -> list[DiskPlan]:
    """What to do for each disk, in mounting order; raises a Refusal, and then nothing is done.

    min_gib: smallest size in GiB of a disk that is formatted, by role.
    """
    for path in layout.never_mounted:
        if mounted_at(host, path):
            raise ForbiddenMount(mount_point=path, layout=layout.name)
    asked = host["asked"]
    if layout.needs_state_disk and not asked["state"]["device"]:
        if not mounted_at(host, layout.mounts["state"]):
            raise NoStateDevice(layout=layout.name)
    data, state = asked["data"], asked["state"]
    if data["maj_min"] and data["maj_min"] == state["maj_min"]:
        raise SameDevice(data=data["device"], state=state["device"], found=data["maj_min"])
    plans = []
    for role in DISKS:
        mount_point = layout.mounts[role]
        if role == "state" and _stays_directory(host, layout):
            plans.append(DiskPlan(role, "directory", posixpath.normpath(layout.state_dir)))
            continue
        minimum = int(((min_gib or {}).get(role) or 0) * GIB)
        plans.append(_plan_disk(host, role, mount_point, fstype, minimum))
    return plans
