# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the engine, or the stack alone, may start: each disk of the record in its place, and no copy of one. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from ..disks import protection
from ..disks.devices import NO_IDENTITY
from ..layout.generation import check_not_older
from ..layout.layouts import LAYOUTS, Layout
from ..move.move_status import ACTIVE
from .errors import ReadOnlyDevice, Refusal
from .facts import Host
from .guard_errors import (
    GuardDiskAway,
    GuardMarker,
    GuardNotHere,
    GuardOtherDisk,
    GuardOverlay,
    GuardTwins,
)
from .host_tools import INSTALL, PROJECT_DIR, layout_of, state_disk, wanted_disks

OFF, STACK, ENGINE = GUARDS = ("off", "stack", "engine")
"""Values of agnes_compose_guard: what is held back while a disk is away; each holds more than the one before."""

ENGINE_UNIT = "docker.service"
DROP_IN = f"/etc/systemd/system/{ENGINE_UNIT}.d/50-agnes-host-guard.conf"
"""What makes the engine ask the guard; where it is, the guard is installed."""
STACK_UNIT = "agnes-host-stack.service"
"""Starts what was held back, where that is the stack alone."""

HELD: Mapping[str, tuple[str, str]] = {
    ENGINE: ("Docker", "systemctl start docker"),
    STACK: ("the stack of Agnes", f"systemctl start {STACK_UNIT.partition('.')[0]}"),
}
"""What is held back, and the command that starts it when the disks are back."""

_REQUIRES = "\nRequires="


def guard_in(drop_in: Optional[str]) -> str:
    """Which guard the drop-in of the engine's unit is of; None where there is none."""
    if drop_in is None:
        return OFF
    return ENGINE if _REQUIRES in drop_in else STACK


def holds_less(wanted: str, now: str) -> bool:
    """Whether a guard holds back less than the one that is there: it takes over when containers are made for it."""
    return GUARDS.index(wanted) < GUARDS.index(now)


WAIT_SECONDS = 90
"""How long a disk may take to appear at a boot, which is what systemd gives a device by default."""


class Attached(NamedTuple):
    """A device that carries a filesystem of the record."""

    path: str
    maj_min: str
    identity: str
    """As in the record, see devices.identity_of."""


@dataclass(frozen=True)
class Seen:
    """What the host shows."""

    shown: Mapping[str, tuple[str, str, str]]
    """Mount point -> MAJ:MIN, UUID and root of the topmost mount; all empty where nothing is mounted."""
    attached: Mapping[str, Sequence[Attached]]
    """UUID -> the devices with this filesystem; not those that are only a part of another device."""
    listed: Collection[str]
    """Mount points that have a line in /etc/fstab."""
    markers: Mapping[str, Mapping[str, Any]]
    """STATE_DIR of each layout -> the marker there, empty for none."""
    protection: Mapping[str, str]
    """Mount point -> whether it is immutable itself, see core/disks/protection.py."""
    read_only: Collection[str] = ()
    """Mount points at which a disk is mounted read-only."""
    kept: Mapping[str, Any] = field(default_factory=dict)
    """What the host keeps of how new its state is, see core/layout/generation.py."""
    guard: str = ENGINE
    """What is held back, for what is said."""

    def words(self) -> dict[str, str]:
        """The two facts of it in each refusal."""
        what, start = HELD.get(self.guard, HELD[ENGINE])
        return {"what": what, "start": start}


def layout_to_guard(
    env: Mapping[str, str], recorded: Mapping[str, Any], seen: Seen, env_path: str
) -> Layout:
    """The layout of this host: the one that is shown whole, or has its lines in /etc/fstab, or ``.env`` names.

    Others write ``.env``, too: on many hosts a script does so at each boot, and the host puts it right
    later. Containers go by their own mounts till then. Raises NotThisLayout where nothing tells it.
    """
    for layout in LAYOUTS.values():
        try:
            if not to_mount(layout, recorded, seen):
                return layout
        except Refusal:
            continue
    named = layout_of(env, recorded, env_path)
    listed = [
        layout
        for layout in LAYOUTS.values()
        if all(path in seen.listed for path in wanted_disks(layout, recorded))
    ]
    return named if named in listed or len(listed) != 1 else listed[0]


def to_mount(layout: Layout, recorded: Mapping[str, Any], seen: Seen) -> list[str]:
    """The mount points to be mounted by /etc/fstab before the engine may start, in order; none: it may.

    Raises GuardDiskAway for a disk that may still appear; GuardOtherDisk, GuardTwins, ReadOnlyDevice,
    GuardMarker and StateOlder for what waiting does not change.
    """
    points = []
    for path, (role, uuid) in wanted_disks(layout, recorded).items():
        maj_min, there, root = seen.shown.get(path, ("", "", ""))
        devices = seen.attached.get(uuid, ()) if uuid else ()
        if root and (there, root) != (uuid, "/"):
            what = f"the directory {root} of a disk" if root != "/" else f"UUID {there or 'none'}"
            raise GuardOtherDisk(role=role, uuid=uuid, path=path, found=what, **seen.words())
        _check_twins(role, path, maj_min, _recorded_identity(recorded, role), devices, seen)
        if path in seen.read_only:
            raise ReadOnlyDevice(device=devices[0].path if devices else uuid, mount_point=path)
        if root:
            continue
        if not devices:
            raise away(role, uuid, path, "no device carries it", seen)
        if path not in seen.listed:
            raise away(role, uuid, path, "it is attached, and /etc/fstab has no line for it", seen)
        points.append(path)
    if not points:
        marker = seen.markers.get(layout.state_dir) or {}
        _check_marker(layout, recorded, marker, seen)
        check_not_older(marker, seen.kept, layout.state_dir, *state_disk(layout, recorded))
    return points


def away(role: str, uuid: str, path: str, shown: str, seen: Seen) -> GuardDiskAway:
    """What to say of a disk that is not in its place."""
    state = seen.protection.get(path, protection.UNKNOWN)
    itself = protection.say(state)
    if state == protection.IMMUTABLE:
        itself = f"{itself}, and {protection.how_to_lift(path)}"
    return GuardDiskAway(
        role=role, uuid=uuid or "not in the record", path=path, found=shown, itself=itself,
        **seen.words(),
    )  # fmt: skip


def _recorded_identity(recorded: Mapping[str, Any], role: str) -> str:
    disk = (recorded.get("disks") or {}).get(role) or {}
    return str(disk.get("identity") or NO_IDENTITY)


def _check_twins(
    role: str, path: str, maj_min: str, identity: str, devices: Sequence[Attached], seen: Seen
) -> None:
    """Raise GuardTwins where several devices carry the filesystem, unless the mounted one is the recorded one."""
    if len(devices) < 2:
        return
    mounted = [each for each in devices if each.maj_min == maj_min]
    if mounted and identity != NO_IDENTITY and mounted[0].identity == identity:
        return
    said = ", ".join(f"{each.path} ({each.identity})" for each in devices)
    raise GuardTwins(
        role=role, path=path, found=said, recorded=identity,
        shown=mounted[0].path if mounted else "none of them", **seen.words(),
    )  # fmt: skip


def _check_marker(
    layout: Layout, recorded: Mapping[str, Any], marker: Mapping[str, Any], seen: Seen
) -> None:
    """Raise GuardMarker unless the state there is this host's, in use, and of this layout."""
    instance = str(recorded.get("instance_id") or "")
    if not marker:
        differs = "no marker"
    elif instance and str(marker.get("instance_id") or "") != instance:
        differs = f"a marker of instance {marker.get('instance_id') or 'none'}"
    elif marker.get("role") != ACTIVE:
        differs = f"a marker with role {marker.get('role') or 'none'}"
    elif marker.get("layout") != layout.name:
        differs = f"a marker of layout {marker.get('layout') or 'none'}"
    else:
        return
    role, uuid = state_disk(layout, recorded)
    raise GuardMarker(
        path=layout.state_dir, found=differs, role=role, uuid=uuid,
        wanted=f"role {ACTIVE}, layout {layout.name}, instance {instance or 'of any name'}",
        **seen.words(),
    )  # fmt: skip


def guard_wanted(request: Mapping[str, Any]) -> str:
    """One of GUARDS, as agnes_compose_guard asks for; a YAML ``off`` is an answer, too."""
    asked = str(request.get("guard") or "").lower()
    return asked if asked in GUARDS else OFF


def check_guard(host: Host, wanted: str) -> None:
    """Raise GuardNotHere where nothing could be held back."""
    if wanted == OFF:
        return
    engine, path = host["engine"], host["project"]["path"].rstrip("/")
    if not engine["unit"]:
        raise GuardNotHere(wanted=wanted, found=f"systemd has no {ENGINE_UNIT} here")
    if path != PROJECT_DIR:
        raise GuardNotHere(
            wanted=wanted,
            found=f"the project is in {path}, and the host's tools know {PROJECT_DIR} only",
        )


def check_overlay(
    wanted: str, layout: Layout, fetched: Collection[str], tools: str, project_dir: str
) -> None:
    """Raise GuardOverlay where the product's own upgrade would take the permit out of the overlay again.

    fetched: the files that the product's upgrade fetches again; tools: what a run does with the tools that replace the product's.
    """
    if wanted == STACK and tools != INSTALL and layout.overlay in fetched:
        raise GuardOverlay(path=f"{project_dir.rstrip('/')}/{layout.overlay}")


def sentences(wanted: str, now: str) -> list[str]:
    """What the plan says of it. now: the guard that is there."""
    if wanted == now:
        return []
    does = (
        "install agnes-host-guard"
        if now == OFF
        else f"let agnes-host-guard hold back the {wanted}, no longer the {now}"
    )
    if wanted == ENGINE:
        return [
            f"{does}: from the next start on, Docker waits for this host's disks and does not "
            "start without them; all containers of this engine wait with it"
        ]
    if wanted == STACK:
        return [
            f"{does}: from the next start on, containers of this stack do not start without this host's disks; "
            "Docker and other containers do"
        ]
    return ["remove agnes-host-guard: Docker starts whether the disks are there or not"]
    return []
