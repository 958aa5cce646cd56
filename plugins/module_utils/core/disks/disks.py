# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done with each disk: the verdict, without touching anything."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ..host.errors import (
    ConsentSpent,
    DiskMissing,
    ForbiddenMount,
    FstabConflict,
    MountPointInUse,
    NewerFormat,
    NoStateDevice,
    NoSuchDevice,
    NotBlank,
    NotWholeDisk,
    PlaceUnusable,
    ProbeFailed,
    ReadOnlyDevice,
    SameDevice,
    SystemDisk,
    TooSmall,
    Unreadable,
    WrongDiskMounted,
)
from ..host.facts import Device, Host
from ..host.text import say_size
from ..layout.generation import check_not_older
from ..layout.layouts import DISKS, Layout
from . import fstab
from .claims import (
    LABELS,
    check_known,
    check_looked,
    check_mounted_role,
    check_role,
    inside,
    instance_of,
)
from .devices import (
    GIB,
    MOUNTABLE,
    NO_IDENTITY,
    WHOLE_DISKS,
    about,
    consent_text,
    consented,
    disks_here,
    identity_of,
    is_free,
    kernel_name_note,
    mounts_on,
    not_blank_because,
    only_ours,
    traits_note,
    unprobed,
    was_spent,
)
from .growing import AUTO, decide
from .mounts import Mount, on_top

DISK, DIRECTORY = "disk", "directory"
"""What state may be asked to be on: a disk of its own, or a directory of the data disk."""

RETIRED_DISK = "retired"
"""Where the record has the disk that state was on, before it was copied into a directory."""

COPY_TARGET = "copy"
"""Where the record has a disk that state is being copied to: it is no state disk before it holds the state."""

COMFORTABLE_GIB = 16
"""A smaller disk is formatted with a warning."""

RECORD_FORMAT = 1
FORMATTING, FORMATTED = "formatting", "formatted"
"""Phases of a disk in the record."""


RECORD_PATH = "/var/lib/agnes-host/record.json"


def check_record(record: Mapping[str, Any]) -> None:
    """Raise unless this version reads the host's record."""
    form = record.get("format")
    if not isinstance(form, int):
        raise Unreadable(path=RECORD_PATH, found=str(record.get("error") or "no format"))
    if form != RECORD_FORMAT:
        raise NewerFormat(path=RECORD_PATH, found=form, known=RECORD_FORMAT)


@dataclass(frozen=True)
class Request:
    """What the user asks of the disks.

    min_gib: smallest size in GiB of a disk that is formatted, by role; adopt:
    UUIDs of filesystems that may be mounted as they are; format: what may be lost,
    each ``device``, ``identity`` and ``found`` as the refusal names them; state_on: DISK or
    DIRECTORY, empty for what is now; grow: as of growing.setting.
    """

    fstype: str = "ext4"
    min_gib: Mapping[str, float] = field(default_factory=dict)
    adopt: Sequence[str] = ()
    format: Sequence[Mapping[str, Any]] = ()
    state_on: str = ""
    grow: str = AUTO

    @property
    def adopted(self) -> frozenset[str]:
        """The UUIDs as low-level probes write them: in small letters, but for those of vfat."""
        return frozenset([*self.adopt, *(uuid.lower() for uuid in self.adopt)])


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
    identity: str = ""
    lost: str = ""
    """What is on a disk that is formatted by consent; empty when it is blank."""
    notes: tuple[str, ...] = ()
    """What the operator should know of it."""
    about: str = ""
    """Size, model and identity, for people."""
    instance: str = ""
    """The instance that the state marker on it names."""
    grows: int = 0
    """Bytes of a mounted filesystem that grows to its device; zero for one that does not."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {**vars(self), "notes": list(self.notes)}

    @property
    def sentence(self) -> str:
        """For people, before it is done."""
        now = f"LOSING {self.lost}, by consent" if self.lost else "blank"
        return {
            "format": f"format {self.device} ({self.about}, {now}) as {self.fstype} labelled "
            f"{LABELS[self.role]} and mount it at {self.mount_point}",
            "mount": f"mount {self.device} ({self.about}, {self.fstype}, UUID {self.uuid}) as it is "
            f"at {self.mount_point}",
            "adopt": f"keep {self.mount_point} as it is mounted (UUID {self.uuid or 'none'}){self._growth()}",
            "directory": f"keep {self.mount_point} a directory of the data disk",
        }[self.action]

    def _growth(self) -> str:
        if not self.grows:
            return ""
        return f", and grow its filesystem from {say_size(self.grows)} to the {say_size(self.size)} of {self.device}"


def mounted_at(host: Host, path: str) -> Optional[Mount]:
    """The mount whose target is ``path``, or None."""
    return next((mount for mount in on_top(host["mounts"]) if mount["target"] == path), None)


def device_of(host: Host, maj_min: str) -> Optional[Device]:
    """The device with this MAJ:MIN, or None."""
    return next((device for device in host["devices"] if device["maj_min"] == maj_min), None)


def _recorded(host: Host, role: str) -> dict[str, Any]:
    return (host["record"].get("disks") or {}).get(role) or {}


def recorded_uuid(host: Host, role: str) -> str:
    """The UUID of the filesystem that is this host's own; none while it is being made."""
    recorded = _recorded(host, role)
    return "" if recorded.get("phase") == FORMATTING else str(recorded.get("uuid") or "")


def _with_uuid(host: Host, uuid: str) -> Optional[Device]:
    matches = [d for d in host["devices"] if uuid and d["filesystem"].get("uuid") == uuid]
    return matches[0] if len(matches) == 1 else None


def _same_device(host: Host, recorded: Mapping[str, Any], device: Device) -> bool:
    """Whether a record's disk is this one. Without an identity only within one boot."""
    if recorded.get("size") != device["size"]:
        return False
    identity = identity_of(device, host["devices"])
    if identity != NO_IDENTITY:
        return bool(recorded.get("identity") == identity)
    here = (host["boot_id"], device["maj_min"])
    return (recorded.get("boot_id"), recorded.get("maj_min")) == here


def _cut_short(host: Host, role: str, device: Device) -> Mapping[str, Any]:
    """The record of our formatting that was killed on this very device, or an empty one."""
    recorded = _recorded(host, role)
    if recorded.get("phase") != FORMATTING or not _same_device(host, recorded, device):
        return {}
    lost = recorded.get("lost") or ""
    untouched = bool(lost) and lost == not_blank_because(device) and is_free(device)
    return recorded if untouched or only_ours(device, str(recorded.get("uuid") or "")) else {}


def _asked_device(host: Host, role: str) -> Device:
    asked = host["asked"][role]
    variable = f"disks_{role}_device"
    problem = asked["problem"]
    device = device_of(host, asked["maj_min"]) if not problem else None
    if device is None:
        raise NoSuchDevice(
            variable=variable,
            device=asked["device"],
            found=problem or "is no disk this host shows",
            disks=disks_here(host["devices"]),
        )
    used = mounts_on(host, device)
    if used:
        raise SystemDisk(
            variable=variable, device=asked["device"], found=f"the mounted {', '.join(used)}"
        )
    return device


def _check_mount_point(host: Host, mount_point: str, uuid: str, maj_min: str = "") -> None:
    """Raise unless nothing but this filesystem has a line for the mount point, and no file lies in it."""
    for entry in host["fstab"]:
        named = fstab.names_uuid(entry["spec"], uuid) or (maj_min and entry["maj_min"] == maj_min)
        if entry["mount_point"] == mount_point and not named:
            raise FstabConflict(line=entry["line"], mount_point=mount_point, found=entry["spec"])
    trouble = host["point_trouble"].get(mount_point)
    if trouble:
        raise PlaceUnusable(
            mount_point=mount_point, found=trouble,
            action="make it and all above it plain directories on a writable filesystem",
        )  # fmt: skip
    names = host["mount_points"].get(mount_point) or []
    if names:
        raise MountPointInUse(mount_point=mount_point, found=", ".join(names[:5]))


def _note_of(host: Host, role: str, device: str, maj_min: str, mount_point: str) -> list[str]:
    """What to know when the disk that is kept is not the one that is named."""
    asked = host["asked"][role]
    if not asked["device"] or asked["maj_min"] == maj_min or maj_min.startswith("0:"):
        return []
    what = f", which {asked['problem']}" if asked["problem"] else ""
    return [
        f"disks_{role}_device names '{asked['device']}'{what}; {device}, this host's own, is kept "
        f"for {mount_point}"
    ]


def _check_same_disk(host: Host, role: str, mount: Mount, device: Device) -> list[str]:
    """Notes of a clone. Raises WrongDiskMounted when the recorded disk is here beside its clone."""
    uuid, here = mount["uuid"], identity_of(device, host["devices"])
    recorded, notes = str(_recorded(host, role).get("identity") or NO_IDENTITY), []
    others = [
        other for other in host["devices"]
        if uuid and other["filesystem"].get("uuid") == uuid and other["maj_min"] != device["maj_min"]
    ]  # fmt: skip
    kind = recorded.partition(":")[0]
    # A serial is not compared with a slot: which of them tells a disk depends on the others.
    if NO_IDENTITY not in (recorded, here) and here != recorded and here.startswith(f"{kind}:"):
        for other in others:
            if identity_of(other, host["devices"]) == recorded:
                shown = f"{uuid} on {device['path']} ({here})"
                wanted = f"the same on {recorded}, which is {other['path']}"
                raise WrongDiskMounted(
                    mount_point=mount["target"], found=shown, wanted=wanted, role=role
                )
        notes.append(
            f"{mount['target']} is on another disk than the recorded one ({here}, recorded {recorded}), with the "
            "same UUID: it is a copy, such as a restored snapshot"
        )
    if others:
        names = ", ".join(other["path"] for other in others)
        notes.append(
            f"{names} has the same UUID as {device['path']}, which is mounted at {mount['target']}: the next "
            "boot may mount either of them; detach the copy, or give it another UUID"
        )
    return notes


def _plan_mounted(host: Host, role: str, mount: Mount, grow: str) -> DiskPlan:
    recorded = recorded_uuid(host, role)
    if recorded and mount["uuid"] and recorded != mount["uuid"]:
        raise WrongDiskMounted(
            mount_point=mount["target"], found=mount["uuid"], wanted=recorded, role=role
        )
    device = device_of(host, mount["maj_min"])
    if recorded and device and device["probed"] and not mount["uuid"]:
        raise ProbeFailed(
            device=device["path"], mount_point=mount["target"], found=device["probed"]
        )
    check_mounted_role(inside(host, mount["target"]), role, mount["target"], mount["source"])
    if mount["target"] in host["read_only"]:
        raise ReadOnlyDevice(device=mount["source"], mount_point=mount["target"])
    notes = _note_of(host, role, mount["source"], mount["maj_min"], mount["target"])
    grows = 0
    if device:
        notes += _check_same_disk(host, role, mount, device)
        notes += traits_note(role, device)
        room, known = host["room"].get(mount["target"], 0), host["devices"]
        grows, unused = decide(grow, mount, device, known, room, _recorded(host, role))
        notes += [unused] if unused else []
    return DiskPlan(
        role, "adopt", mount["target"], mount["source"], mount["maj_min"],
        device["size"] if device else 0, mount["uuid"], mount["fstype"],
        identity_of(device, host["devices"]) if device else NO_IDENTITY, notes=tuple(notes),
        about=about(device, host["devices"]) if device else "",
        instance=instance_of(inside(host, mount["target"])), grows=grows,
    )  # fmt: skip


def _plan_mount(host: Host, role: str, mount_point: str, device: Device) -> DiskPlan:
    """Mount a filesystem as it is: our own, or one that the user adopts."""
    filesystem = device["filesystem"]
    _check_mount_point(host, mount_point, filesystem["uuid"], device["maj_min"])
    check_role(host, role, mount_point, device)
    if device["read_only"]:
        raise ReadOnlyDevice(device=device["path"], mount_point=mount_point)
    instance = instance_of(inside(host, device["maj_min"]))
    notes = _note_of(host, role, device["path"], device["maj_min"], mount_point)
    if instance and not host["record"].get("instance_id"):
        notes.append(f"instance {instance} of the marker on {device['path']} is taken over")
    return DiskPlan(
        role, "mount", mount_point, device["path"], device["maj_min"], device["size"],
        filesystem["uuid"], filesystem["type"], identity_of(device, host["devices"]),
        notes=(*notes, *traits_note(role, device)), about=about(device, host["devices"]),
        instance=instance,
    )  # fmt: skip


def _may_adopt(host: Host, device: Device, request: Request) -> bool:
    uuid, alone = device["filesystem"].get("uuid", ""), len(device["signatures"]) == 1
    mountable = device["filesystem"].get("type") in MOUNTABLE and is_free(device)
    return alone and mountable and uuid in request.adopted and _with_uuid(host, uuid) is not None


def _consent(host: Host, device: Device, identity: str, lost: str, request: Request) -> str:
    """What a person could set; a disk that is adopted already has a copy of it in the way."""
    uuid = device["filesystem"].get("uuid", "")
    copies = [other["path"] for other in host["devices"]
              if uuid in request.adopted and other["filesystem"].get("uuid") == uuid
              and other["maj_min"] != device["maj_min"]]  # fmt: skip
    if copies:
        return f"detach {', '.join(copies)}, which has the same UUID, so that {uuid} means one disk"
    return consent_text(device, identity, lost)


def _what_is_lost(host: Host, role: str, mount_point: str, device: Device, request: Request) -> str:
    """What consent allows to lose by formatting; empty for a blank disk. Raises NotBlank."""
    lost, identity = not_blank_because(device), identity_of(device, host["devices"])
    if not lost:
        return ""
    names = (device["path"], host["asked"][role]["device"])
    if is_free(device) and consented(request.format, names, identity, lost):
        if was_spent(host["record"].get("spent") or [], device["path"], identity, lost):
            raise ConsentSpent(device=device["path"], found=lost, identity=identity)
        return lost
    raise NotBlank(
        device=device["path"], mount_point=mount_point, found=lost,
        consent=_consent(host, device, identity, lost, request),
    )  # fmt: skip


def _plan_format(
    host: Host, role: str, mount_point: str, device: Device, request: Request
) -> DiskPlan:
    if device["probed"]:
        raise ProbeFailed(device=device["path"], mount_point=mount_point, found=device["probed"])
    resumed = _cut_short(host, role, device)
    lost = str(resumed.get("lost") or "")
    if not resumed:
        lost = _what_is_lost(host, role, mount_point, device, request)
    if device["kind"] not in WHOLE_DISKS:
        raise NotWholeDisk(
            variable=f"disks_{role}_device", device=host["asked"][role]["device"],
            found=device["kind"],
        )  # fmt: skip
    if device["read_only"]:
        raise ReadOnlyDevice(device=device["path"], mount_point=mount_point)
    minimum = request.min_gib.get(role) or 0
    if device["size"] < minimum * GIB:
        raise TooSmall(
            device=device["path"], mount_point=mount_point,
            found=say_size(device["size"]), wanted=f"{minimum:g} GiB", variable=f"disks_{role}_min_gib",
        )  # fmt: skip
    _check_mount_point(host, mount_point, "")
    notes = [
        *kernel_name_note(role, host["asked"][role]["device"], device),
        *traits_note(role, device),
    ]
    if device["size"] < COMFORTABLE_GIB * GIB:
        notes.append(
            f"{device['path']} for {role} is small: {say_size(device['size'])}, under {COMFORTABLE_GIB} GiB"
        )
    return DiskPlan(
        role, "format", mount_point, device["path"], device["maj_min"], device["size"],
        str(resumed.get("uuid") or ""), request.fstype, identity_of(device, host["devices"]), lost,
        notes=tuple(notes), about=about(device, host["devices"]),
    )  # fmt: skip


def _own_disk(host: Host, role: str, mount_point: str) -> Device:
    """The one device that has this host's own filesystem. Raises DiskMissing: no other takes its place."""
    recorded, uuid = _recorded(host, role), recorded_uuid(host, role)
    carriers = [item for item in host["devices"] if item["filesystem"].get("uuid") == uuid]
    if len(carriers) == 1 and not carriers[0]["holders"]:
        return carriers[0]
    if carriers:
        paths = ", ".join(item["path"] for item in carriers)
        where = (
            f"on {len(carriers)} devices ({paths})"
            if len(carriers) > 1
            else f"in use below {paths}"
        )
    else:
        where = f"not on this host{unprobed(host['devices'])}"
    raise DiskMissing(
        role=role, uuid=uuid, size=say_size(int(recorded.get("size") or 0)), found=where,
        mount_point=mount_point, record=RECORD_PATH,
    )  # fmt: skip


def _plan_disk(host: Host, role: str, mount_point: str, request: Request) -> DiskPlan:
    mount = mounted_at(host, mount_point)
    if mount:
        return _plan_mounted(host, role, mount, request.grow)
    if recorded_uuid(host, role):
        return _plan_mount(host, role, mount_point, _own_disk(host, role, mount_point))
    device = _asked_device(host, role)
    if _may_adopt(host, device, request):
        check_looked(host, device)
        return _plan_mount(host, role, mount_point, device)
    return _plan_format(host, role, mount_point, device, request)


def _stays_directory(host: Host, layout: Layout, state_on: str) -> bool:
    """Whether state is to stay, or to become, a directory of the data disk."""
    if layout.needs_state_disk or mounted_at(host, layout.mounts["state"]):
        return False
    if recorded_uuid(host, "state"):
        return False
    if state_on == DIRECTORY:
        return True
    place = host["state"].get(layout.state_dir)
    holds = bool(place and place["kind"] == "directory" and place["names"])
    return holds or not host["asked"]["state"]["device"]


def _check_known(host: Host, layout: Layout, request: Request) -> None:
    """Raise AgnesDisks or WrongRole for disks of an Agnes host that nobody has adopted, both at once."""
    wanted, lost = [], []
    for role in DISKS:
        device = device_of(host, host["asked"][role]["maj_min"])
        stays = role == "state" and _stays_directory(host, layout, request.state_on)
        if (
            device is None
            or stays
            or mounted_at(host, layout.mounts[role])
            or mounts_on(host, device)
        ):
            continue
        wanted.append((role, layout.mounts[role]))
        names = (device["path"], host["asked"][role]["device"])
        identity = identity_of(device, host["devices"])
        if consented(request.format, names, identity, not_blank_because(device)):
            lost.append(device["maj_min"])
    check_known(host, wanted, request.adopted, lost)


def plan_disks(host: Host, layout: Layout, request: Optional[Request] = None) -> list[DiskPlan]:
    """What to do for each disk, in mounting order; raises a Refusal, and then nothing is done."""
    request = request or Request()
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
    _check_known(host, layout, request)
    plans = []
    for role in DISKS:
        if role == "state" and _stays_directory(host, layout, request.state_on):
            plans.append(DiskPlan(role, "directory", posixpath.normpath(layout.state_dir)))
        else:
            plans.append(_plan_disk(host, role, layout.mounts[role], request))
    _check_age(host, layout, plans)
    return plans


def _check_age(host: Host, layout: Layout, plans: Sequence[DiskPlan]) -> None:
    """Raise StateOlder for state that is older than this host has had it, mounted or not."""
    disk = [plan for plan in plans if plan.action != "directory"][-1]
    if disk.action != "mount":
        place = host["state"].get(layout.state_dir)
        marker = place["marker"] if place else None
    elif contents := inside(host, disk.maj_min)["contents"]:
        marker = contents["marker"] if disk.role == "state" else contents["state_marker"]
    else:
        # What can't be looked into is refused after it is mounted, by the guard or the next run.
        marker = None
    check_not_older(marker or {}, host["generation"], layout.state_dir, disk.role, disk.uuid)
