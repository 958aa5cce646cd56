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

from ..compose.overlay import wanted_mounts
from ..compose.sight import remarks, told_of
from ..compose.stack import UP, by_service, check_one_offs, check_strays
from ..copy.copy_targets import Asked
from ..disks import fstab
from ..disks.disks import DIRECTORY, Request, mounted_at
from ..disks.mounts import on_top
from ..disks.which_copy import say_which_counts
from ..host.facts import Host
from ..host.host_errors import KernelUsersUnreadable
from ..layout.layouts import LAYOUTS, Layout
from .intent import BACK, FORWARD, MoveIntent
from .move_errors import (
    BackendNotMovable,
    CanNotLook,
    CopyMustEnd,
    LinkForeign,
    MountInside,
    MovePlaceInUse,
    NotReplaceable,
    ShadowedState,
    StateDiskHeld,
    StateDiskShared,
    StateRetired,
)
from .move_facts import facts_of_host
from .move_kinds import choose, kind_of, remount
from .move_status import RETIRED, MoveStatus, inside, intent_in, no_leftovers, points_to
from .move_steps import DOWN, GRACE_SECONDS, STEPS, remaining, undoable
from .plan_facts import facts_of
from .presence import Seen, late, say_late

FSTAB = "/etc/fstab"


@dataclass(frozen=True)
class MovePlan:
    """What a move would do. Empty steps: nothing."""

    status: MoveStatus
    direction: str
    """forward, or back when a move that has not been committed is given up."""
    steps: tuple[tuple[str, str], ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """The hashes that it depends on; none for a move that has begun, which has changed them itself."""
    left_stopped: tuple[str, ...] = ()
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
            f"{GRACE_SECONDS} s for a container that does not end by itself), and {self.status.kind.downtime(self.status)}"
        )

    def sentences(self) -> list[str]:
        """For people, before it is done."""
        status = self.status
        first = [say_late(path, uuid) for path, uuid in self.late]
        if self.direction == BACK:
            return [
                *first,
                f"give up the move to layout {status.target.name}, which has not been committed: bring everything "
                f"back to {status.old}, and start the services that ran before",
            ]
        lines = [
            *first,
            f"move state from {status.old} (layout {status.source.name}) to {status.new} "
            f"(layout {status.target.name}): {status.kind.says(status)}",
        ]
        for number, (step, phase) in enumerate(self.steps, start=1):
            down = " [stack down]" if phase == DOWN else ""
            lines.append(f"  {number:2}. {STEPS[step].says(status)}{down}")
        shadow = status.facts["shadows"].get(status.old)
        if shadow and status.copy_that_counts:
            lines.append(say_which_counts(status.old, status.copy_that_counts, shadow))
        return [*lines, f"expected downtime: {self.downtime}"]

    @property
    def intent(self) -> MoveIntent:
        """What a run asks for by it."""
        status = self.status
        return MoveIntent(
            source=status.source.name, target=status.target.name, kind=status.kind.name, uuid=status.uuid,
            disk=dict(status.disk), copy_that_counts=status.copy_that_counts, direction=self.direction,
            facts=dict(self.facts),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **self.intent.planned(),
            "now": (self.status.target if self.status.committed else self.status.source).name,
            "bytes": self.status.facts["used"],
            "downtime": self.downtime,
            "left_stopped": list(self.left_stopped),
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
        if status.unmounted(path)["kind"] == "unknown":
            raise CanNotLook(path=path, found=status.unmounted(path)["target"])
    if facts["backend"] != "duckdb":
        raise BackendNotMovable(path=status.source.state_dir, found=facts["backend"])
    mounts = inside(facts, old) + inside(facts, new)
    if mounts:
        raise MountInside(path=old, found=", ".join(mounts))
    if facts["others"]:
        raise StateDiskShared(path=old, found=", ".join(facts["others"]))
    if status.kind.copies and not status.committed and facts["roles"].get(old) == RETIRED:
        raise StateRetired(path=old, new=new)
    _check_can_be_done(status)
    shadowed = no_leftovers(status.unmounted(old))
    if shadowed and status.kind.state_was != DIRECTORY and not status.copy_that_counts:
        raise ShadowedState(path=old, found=", ".join(shadowed[:5]))
    _check_new_place(status)


def _check_can_be_done(status: MoveStatus) -> None:
    """What the steps after the stop, and after the commit, will need. After the commit the steps ask themselves."""
    if status.committed:
        return
    for path, why in sorted(status.facts["blocked"].items()):
        if path == FSTAB:
            fstab.check_replaceable(why, [status.old, status.new])
        raise NotReplaceable(path=path, found=why)
    for path, why in status.facts["kernel_unread"].items():
        raise KernelUsersUnreadable(path=path, found=why)
    if status.facts["kernel_users"]:
        raise StateDiskHeld(path=status.old, found=", ".join(status.facts["kernel_users"]))


def _check_new_place(status: MoveStatus) -> None:
    """The new mount point must be absent, a directory without anything of worth, or the source's link."""
    new, unmounted = status.new, status.unmounted(status.new)
    if status.mounted(new) or (
        status.kind.state_goes == DIRECTORY and status.facts["intent"] and status.there
    ):
        return
    if any(point["target"] == new for point in status.facts["points"]):
        raise MovePlaceInUse(path=new, found="another filesystem mounted there")
    link = status.source.links.get(new)
    if unmounted["kind"] == "link" and link == unmounted["target"]:
        return
    if unmounted["kind"] not in ("absent", "directory"):
        what = (
            f"a link to '{unmounted['target']}'" if unmounted["kind"] == "link" else "no directory"
        )
        if link:
            raise LinkForeign(path=new, wanted=link, found=what)
        raise MovePlaceInUse(path=new, found=what)
    names = no_leftovers(unmounted)
    if names:
        raise MovePlaceInUse(path=new, found=", ".join(names[:5]))
    spec = status.facts["lines"].get(new)
    if spec and not fstab.names_uuid(spec, status.uuid):
        raise MovePlaceInUse(path=new, found=f"{spec} in /etc/fstab")


def _status(
    host: Host, source: Layout, target: Layout, request: Request, copy_that_counts: str = ""
) -> MoveStatus:
    intent = intent_in(host["moving"])
    if intent:
        turned = intent.source != source.name
        kind = remount(source, target) if turned else kind_of(intent)
        uuid, disk, copy_that_counts = intent.uuid, intent.disk, intent.copy_that_counts
    else:
        kind, uuid, disk = choose(Asked(host, source, target, request, copy_that_counts))
    return MoveStatus(
        source, target, uuid, facts_of_host(host), kind, intent.id if intent else "new",
        services=frozenset(by_service(host["containers"])),
        present=frozenset(c["name"] for c in host["containers"] if not c["one_off"]),
        wanted=frozenset(intent.services if intent else ()), disk=disk,
        copy_that_counts=copy_that_counts,
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
    copy_that_counts: str = "",
) -> MovePlan:  # fmt: skip
    """The plan to move state from ``source`` to ``target``. Raises a Refusal.

    Also from every state in which an interrupted move can have left the host.
    copy_that_counts: see core/disks/which_copy.py.
    """
    status = _status(host, source, target, request or Request(), copy_that_counts)
    check_movable(status)
    said = () if status.committed else _check_services(host, source, target)
    running = {
        name
        for name, containers in by_service(host["containers"]).items()
        if any(each["status"] in UP for each in containers)
    }
    left_stopped = tuple(sorted(status.services - running - status.wanted))
    steps = tuple(remaining(status))
    starts = tuple(sorted(running | status.wanted))
    return MovePlan(status, FORWARD, steps, facts_of(host), left_stopped, starts, said)


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
            if points_to(host["env"]["values"], target):
                return source, target
    return None


def _late(host: Host, status: MoveStatus) -> tuple[tuple[str, str], ...]:
    """What the runner mounts first. Raises the same refusals as the runner."""
    intent = intent_in(host["moving"])
    data_uuid = intent.data_uuid if intent else ""
    data, attached = status.source.mounts["data"], [d["filesystem"] for d in host["devices"]]
    at_data = [mount for mount in on_top(host["mounts"]) if mount["target"] == data]
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
    begun = interrupted(host)
    if begun is None:
        raise AssertionError("asked for a host without an interrupted move")
    source, target = begun
    status = _status(host, source, target, Request())
    if asked == source.name and status.committed and status.kind.copies:
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
