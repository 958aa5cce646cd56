# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a move of live state from one layout to another: ordered steps, or a refusal.

State on a disk of its own keeps it: only the mount point moves, and no step formats,
copies or deletes anything. State in a directory of the data disk is copied to a state
disk, and back where that is asked for. Which steps there are, and in which order, is in
move_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from . import fstab
from .authority import HIDDEN, say_authority
from .copy_errors import NoRoom, SourceUnproved
from .copying import ROOM_FACTOR
from .disks import COPY_TARGET, DIRECTORY, DiskPlan, Request, mounted_at, plan_disks
from .errors import MoveNotSupported, NotBlank
from .facts import Host
from .intent import BACK, FORWARD, MoveIntent
from .layouts import LAYOUTS, Layout
from .move_errors import (
    BackendNotMovable,
    CanNotLook,
    CopyMustEnd,
    CopyTargetForeign,
    HiddenState,
    LinkForeign,
    MountInside,
    MovePlaceInUse,
    NotReplaceable,
    StateDiskHeld,
    StateDiskShared,
    StateRetired,
)
from .move_status import (
    COPY,
    COPY_BACK,
    COPYING,
    PROMOTE,
    REMOUNT,
    RETIRED,
    MoveStatus,
    inside,
    intent_in,
    no_leftovers,
)
from .move_steps import DOWN, GRACE_SECONDS, STEPS, remaining, say_bytes, undoable
from .overlay import wanted_mounts
from .plan_facts import facts_of
from .precopy import MAX_ROUNDS
from .presence import Seen, late, say_late
from .sight import remarks, told_of
from .stack import UP, by_service, check_one_offs, check_strays
from .state_on import check_copy_back, check_measured, check_not_config_disk, not_retired

_BYTES_A_SECOND = 200 << 20
"""For an estimate only: how fast state and copy are read whole and hashed, side by side."""
FSTAB = "/etc/fstab"
_USABLE = 0.9
"""What a new filesystem leaves of its disk, at least; the copy itself looks again at what it has."""


@dataclass(frozen=True)
class MovePlan:
    """What a move would do. Empty steps: nothing."""

    status: MoveStatus
    direction: str
    """forward, or back when a move that has not been committed is given up."""
    steps: tuple[tuple[str, str], ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """The hashes that it hangs on; none for a move that has begun, which has changed them itself."""
    resting: tuple[str, ...] = ()
    """Services that do not run now, and will not after the move."""
    starts: tuple[str, ...] = ()
    """Services that the move starts, in new containers."""
    remarks: tuple[str, ...] = ()
    """What an operator should know of services that will not see state."""
    late: tuple[tuple[str, str], ...] = ()
    """Mount point and UUID of disks that are mounted first: they came too late for the boot."""

    @property
    def downtime(self) -> str:
        """What to expect, for people."""
        if not any(phase == DOWN for _step, phase in self.steps):
            return "none"
        return (
            "that of 'docker compose down' and 'up' (up to "
            f"{GRACE_SECONDS} s for a container that does not end by itself), and {self._more}"
        )

    @property
    def _more(self) -> str:
        if self.status.kind == REMOUNT:
            return "less than a second more"
        seconds = 3 + self.status.facts["used"] / _BYTES_A_SECOND
        if self.status.kind == PROMOTE:
            whole = 3 + 3 * self._beneath / _BYTES_A_SECOND
            return f"about {whole:.0f} s more to copy state whole, read it and the copy, and count rows"
        return f"about {seconds:.0f} s more to copy the rest, read state and copy whole, and count rows"

    def sentences(self) -> list[str]:
        """For people, before it is done."""
        status = self.status
        first = [say_late(path, uuid) for path, uuid in self.late]
        if self.direction == BACK:
            return [
                *first,
                f"give up the move to layout {status.target.name}, which has not been committed: "
                f"everything back to {status.old}, and start what ran before",
            ]
        lines = [
            *first,
            f"move state from {status.old} (layout {status.source.name}) to {status.new} "
            f"(layout {status.target.name}): {self._how}",
        ]
        for number, (step, phase) in enumerate(self.steps, start=1):
            down = " [stack down]" if phase == DOWN else ""
            lines.append(f"  {number:2}. {STEPS[step].says(status)}{down}")
        beneath = status.facts["shadows"].get(status.old)
        if beneath and status.authority:
            lines.append(say_authority(status.old, status.authority, beneath))
        return [*lines, f"expected downtime: {self.downtime}"]

    @property
    def _beneath(self) -> int:
        """Bytes of state beneath the mount, as far as that has been looked at."""
        found = self.status.facts["shadows"].get(self.status.old)
        return found["hidden"]["bytes"] if found and found["hidden"] else self.status.facts["used"]

    @property
    def _how(self) -> str:
        status, used = self.status, say_bytes(self.status.facts["used"])
        if status.kind == REMOUNT:
            return f"{used} stay where they are on the state disk, only its mount point moves"
        if status.kind == PROMOTE:
            return (
                f"{say_bytes(self._beneath)} beneath the mount are copied to {status.disk['device']} while the "
                "stack is down; what is on the disk now is renamed aside there, and the directory kept aside"
            )
        source, target, kept = {
            COPY: ("the data disk", "", "the old directory is kept aside"),
            COPY_BACK: (
                "the state disk", "a directory of the data disk, ",
                "the state disk is unmounted, and keeps what it has",
            ),
        }[status.kind]  # fmt: skip
        return (
            f"{used} in {status.facts['files']} files are copied from {source} to "
            f"{target}{status.disk['device']}, in up to {MAX_ROUNDS} rounds while the stack runs; {kept}"
        )

    @property
    def intent(self) -> MoveIntent:
        """What a run asks for by it."""
        status = self.status
        return MoveIntent(
            source=status.source.name, target=status.target.name, kind=status.kind, uuid=status.uuid,
            disk=dict(status.disk), authority=status.authority, direction=self.direction,
            facts=dict(self.facts),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **self.intent.planned(),
            "now": (self.status.target if self.status.committed else self.status.source).name,
            "bytes": self.status.facts["used"],
            "downtime": self.downtime,
            "resting": list(self.resting),
            "starts": list(self.starts),
            "steps": [
                {
                    "id": step,
                    "what": STEPS[step].says(self.status),
                    "why": STEPS[step].why,
                    "undo": STEPS[step].undo.format(old=self.status.old, new=self.status.new),
                    "down": phase == DOWN,
                }
                for step, phase in self.steps
            ],
        }


def check_movable(status: MoveStatus) -> None:
    """Raise a Refusal unless this version can move this state without risk."""
    facts, old, new = status.facts, status.old, status.new
    for path in (old, new):
        if status.bare(path)["kind"] == "unknown":
            raise CanNotLook(path=path, found=status.bare(path)["target"])
    if facts["backend"] != "duckdb":
        raise BackendNotMovable(path=status.source.state_dir, found=facts["backend"])
    found = inside(facts, old) + inside(facts, new)
    if found:
        raise MountInside(path=old, found=", ".join(found))
    if facts["others"]:
        raise StateDiskShared(path=old, found=", ".join(facts["others"]))
    if status.kind in COPYING and not status.committed and facts["roles"].get(old) == RETIRED:
        raise StateRetired(path=old, new=new)
    _check_can_be_done(status)
    hidden = no_leftovers(status.bare(old))
    if hidden and status.kind != COPY and not status.authority:
        raise HiddenState(path=old, found=", ".join(hidden[:5]))
    _check_new_place(status)


def _check_can_be_done(status: MoveStatus) -> None:
    """What the steps after the stop, and after the commit, will need. Once committed it is their own matter."""
    if status.committed:
        return
    for path, why in sorted(status.facts["blocked"].items()):
        if path == FSTAB:
            fstab.check_replaceable(why, [status.old, status.new])
        raise NotReplaceable(path=path, found=why)
    if status.facts["kernel_users"]:
        raise StateDiskHeld(path=status.old, found=", ".join(status.facts["kernel_users"]))


def _check_new_place(status: MoveStatus) -> None:
    """The new mount point must be absent, a directory without anything of worth, or the source's link."""
    new, found = status.new, status.bare(status.new)
    if status.mounted(new) or (
        status.kind == COPY_BACK and status.facts["intent"] and status.there
    ):
        return
    if any(point["target"] == new for point in status.facts["points"]):
        raise MovePlaceInUse(path=new, found="another filesystem mounted there")
    link = status.source.links.get(new)
    if found["kind"] == "link" and link == found["target"]:
        return
    if found["kind"] not in ("absent", "directory"):
        what = f"a link to '{found['target']}'" if found["kind"] == "link" else "no directory"
        if link:
            raise LinkForeign(path=new, wanted=link, found=what)
        raise MovePlaceInUse(path=new, found=what)
    names = no_leftovers(found)
    if names:
        raise MovePlaceInUse(path=new, found=", ".join(names[:5]))
    spec = status.facts["lines"].get(new)
    if spec and not fstab.names_uuid(spec, status.uuid):
        raise MovePlaceInUse(path=new, found=f"{spec} in /etc/fstab")


def _with_copy_target(host: Host) -> Host:
    """The host as the disks' plan shall see it: the disk of an earlier try is the state disk to be.

    One that is gone was never used, so another may take its place.
    """
    known = host["record"].get("disks") or {}
    found = known.get(COPY_TARGET) or {}
    here = [d for d in host["devices"] if d["filesystem"].get("uuid") == found.get("uuid")]
    if "state" in known or not found or not (here or found.get("phase") == "formatting"):
        return host
    record = {**host["record"], "disks": {**known, "state": found}}
    return {**host, "record": record}


def _disk_for(host: Host, source: Layout, target: Layout, request: Request) -> DiskPlan:
    """The disk that state in a directory is copied to: blank, or formatted for it by an earlier try."""
    try:
        data, disk = plan_disks(_with_copy_target(host), target, request)
    except NotBlank as refusal:
        raise not_retired(host, source.state_dir, refusal) from refusal
    if data.action != "adopt":
        raise _unmovable(source, target, "with no data disk mounted")
    if disk.action == "adopt":
        raise MovePlaceInUse(path=disk.mount_point, found="another filesystem mounted there")
    if disk.action == "mount" and host["moving"]["formatted"] != disk.uuid:
        raise CopyTargetForeign(
            device=disk.device, found=f"{disk.fstype} that this host did not make"
        )
    # Formatted, and the move given up, it would be mounted over the state.
    check_not_config_disk(host, disk.maj_min, disk.device, source.state_dir)
    check_measured(host, source.state_dir)
    wanted = int(host["moving"]["used"] * ROOM_FACTOR)
    if disk.size * _USABLE < wanted:
        raise NoRoom(
            source=source.state_dir, target=disk.device, found=say_bytes(int(disk.size * _USABLE)),
            wanted=f"{say_bytes(wanted)}: a tenth more than there is to copy",
        )  # fmt: skip
    return disk


def _data_disk(host: Host, source: Layout, target: Layout, request: Request) -> dict[str, Any]:
    """The data disk, into a directory of which state on a disk is copied."""
    data = plan_disks(host, source, request)[0]
    if data.action != "adopt" or not data.uuid:
        raise _unmovable(source, target, "with no data disk that has a UUID mounted")
    check_copy_back(host, source, target)
    return data.as_dict()


def _unmovable(source: Layout, target: Layout, kind: str) -> MoveNotSupported:
    return MoveNotSupported(
        found=source.state_dir, current=source.name, wanted=target.name, kind=kind
    )


def _uncovered(host: Host, source: Layout, target: Layout, request: Request) -> dict[str, Any]:
    """The disk that is mounted over the state that counts, and to which that is copied."""
    old = source.mounts["state"]
    found = host["moving"]["shadows"][old]["hidden"]
    if not found or not found["database"]:
        raise SourceUnproved(
            path=f"{old} beneath its mount", found="no system.duckdb", wanted="state"
        )
    if found["role"] == RETIRED:
        raise StateRetired(path=old, new=target.mounts["state"])
    if source.needs_state_disk:
        raise _unmovable(source, target, "with the copy beneath it named as the authority")
    disk = plan_disks(host, source, request)[1]
    check_not_config_disk(host, disk.maj_min, disk.device, old)
    free = int(disk.size * _USABLE) - host["moving"]["used"]
    wanted = int(found["bytes"] * ROOM_FACTOR)
    if free < wanted:
        raise NoRoom(
            source=old, target=disk.device, found=say_bytes(max(0, free)),
            wanted=f"{say_bytes(wanted)}: a tenth more than there is to copy",
        )  # fmt: skip
    return {**disk.as_dict(), "mount_point": target.mounts["state"]}


def _of_what(
    host: Host, source: Layout, target: Layout, request: Request, authority: str
) -> tuple[str, str, dict[str, Any]]:
    """Kind of move, UUID of the state disk, and the disk to copy to, while no intent says them."""
    at = {p["target"]: p["uuid"] for p in host["moving"]["points"] if p["root"] == "/"}
    if source.mounts["state"] in at:
        if not at[source.mounts["state"]]:
            raise _unmovable(source, target, "on a disk without UUID")
        uuid = at[source.mounts["state"]]
        if authority == HIDDEN:
            return PROMOTE, uuid, _uncovered(host, source, target, request)
        if request.state_on == DIRECTORY:
            return COPY_BACK, uuid, _data_disk(host, source, target, request)
        return REMOUNT, uuid, {}
    if source.needs_state_disk or not target.needs_state_disk:
        raise _unmovable(source, target, "with no disk of its own")
    disk = _disk_for(host, source, target, request)
    return COPY, disk.uuid or "new", disk.as_dict()


def _status(
    host: Host, source: Layout, target: Layout, request: Request, authority: str = ""
) -> MoveStatus:
    intent = intent_in(host["moving"])
    if intent:
        kind, uuid, disk, authority = intent.kind, intent.uuid, intent.disk, intent.authority
    else:
        kind, uuid, disk = _of_what(host, source, target, request, authority)
    return MoveStatus(
        source, target, uuid, host["moving"], intent.id if intent else "new",
        services=frozenset(by_service(host["containers"])),
        present=frozenset(c["name"] for c in host["containers"] if not c["one_off"]),
        wanted=frozenset(intent.services if intent else ()), kind=kind, disk=disk,
        authority=authority,
    )  # fmt: skip


def _check_services(host: Host, source: Layout, target: Layout) -> tuple[str, ...]:
    """What the steps ask of services and containers, asked now. Raises a Refusal; returns remarks."""
    check_one_offs(host["containers"], source)
    services = host["project"]["services"]
    if services is None:
        # The move derives and proves the overlay before it stops anything.
        return (
            "Compose can't resolve the project, so what its services see is checked only in the move, before the stop",
        )
    check_strays(services, host["containers"], source)
    told = told_of(services, source, target)
    wanted = wanted_mounts({"services": told}, target)
    return tuple(
        remarks({name: {**each, "volumes": wanted[name]} for name, each in told.items()}, target)
    )


def plan_move(
    host: Host, source: Layout, target: Layout, request: Optional[Request] = None,
    authority: str = "",
) -> MovePlan:  # fmt: skip
    """The plan to move state from ``source`` to ``target``. Raises a Refusal.

    Also from every state in which an interrupted move can have left the host.
    authority: see core/authority.py.
    """
    status = _status(host, source, target, request or Request(), authority)
    check_movable(status)
    said = () if status.committed else _check_services(host, source, target)
    running = {
        name
        for name, containers in by_service(host["containers"]).items()
        if any(each["status"] in UP for each in containers)
    }
    resting = tuple(sorted(status.services - running - status.wanted))
    steps = tuple(remaining(status))
    starts = tuple(sorted(running | status.wanted))
    return MovePlan(status, FORWARD, steps, facts_of(host), resting, starts, said)


def interrupted(host: Host) -> Optional[tuple[Layout, Layout]]:
    """Source and target of a move that has begun and not ended, or None.

    The intent says so; without one, the state disk mounted at two of the
    table's places does, and ``.env`` says which of them is meant.
    """
    intent = intent_in(host["moving"])
    if intent:
        return LAYOUTS[intent.source], LAYOUTS[intent.target]
    layouts = list(LAYOUTS.values())
    for target in layouts:
        for source in layouts:
            new, old = (mounted_at(host, each.mounts["state"]) for each in (target, source))
            if source is target or not new or not old or new["maj_min"] != old["maj_min"]:
                continue
            if MoveStatus(source, target, new["uuid"], host["moving"]).committed:
                return source, target
    return None


def _late(host: Host, status: MoveStatus) -> tuple[tuple[str, str], ...]:
    """What the runner mounts first. Raises what it would raise."""
    intent = intent_in(host["moving"])
    data_uuid = intent.data_uuid if intent else ""
    data, attached = status.source.mounts["data"], [d["filesystem"] for d in host["devices"]]
    at_data = [mount for mount in host["mounts"] if mount["target"] == data]
    at_data_line = {line["mount_point"] for line in host["fstab"]} & {data}
    seen = Seen(
        {
            m["target"]: m["uuid"] if m["root"] == "/" else ""
            for m in (*at_data, *status.facts["points"])
        },
        [filesystem.get("uuid", "") for filesystem in attached],
        {*at_data_line, *status.facts["lines"]},
    )
    return tuple(late(status, data_uuid, seen))


def plan_interrupted(host: Host, asked: str) -> MovePlan:
    """How a move that was interrupted ends: where it was going, unless ``asked`` names the other layout.

    Back is possible until the commit; after it, back is a move of its own.
    """
    found = interrupted(host)
    if found is None:
        raise AssertionError("asked for a host without an interrupted move")
    source, target = found
    status = _status(host, source, target, Request())
    if asked == source.name and status.committed and status.kind in COPYING:
        # Half-way what was copied is still at its place, and it is no state any more.
        raise CopyMustEnd(target=target.name, asked=asked)
    first = _late(host, status)
    if asked == source.name and status.committed:
        return replace(plan_move(host, target, source), late=first, facts={})
    if asked == source.name:
        steps = tuple((step, BACK) for step in undoable(status))
        starts = tuple(sorted(status.wanted))
        return MovePlan(status, BACK, steps, starts=starts, late=first)
    return replace(plan_move(host, source, target), late=first, facts={})
