# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a move of live state from one layout to another: ordered steps, or a refusal.

Expand, flip, contract: first everything is made ready that both layouts
tolerate, then one rename of ``.env`` decides, then what is left of the old
layout goes. No step formats, copies or deletes anything. Both directions are
this one table; what differs comes from the two Layout values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .disks import mounted_at
from .errors import MoveNotSupported
from .facts import Host
from .layouts import LAYOUTS, Layout
from .move_errors import (
    BackendNotMovable,
    CanNotLook,
    HiddenState,
    MountInside,
    MovePlaceInUse,
    StateDiskShared,
)
from .scenes import Scene, inside, is_harmless

GRACE_SECONDS = 90
"""How long a container may take to stop: the app's own grace is 60 s."""

BEFORE, DOWN, AFTER = "before", "down", "after"

COMMIT = "commit"
"""The step that decides: an error up to it leads back, one after it leads on."""


@dataclass(frozen=True)
class Step:
    """One step. ``what``, ``why`` and ``undo`` are for people; fields in braces are the scene's."""

    id: str
    what: str
    why: str
    undo: str
    done: Callable[[Scene], bool]

    def says(self, scene: Scene) -> str:
        """``what``, filled in."""
        return self.what.format(
            old=scene.old, new=scene.new, uuid=scene.uuid, target=scene.target.name,
            source=scene.source.name, overlay=scene.target.overlay,
            place=_say_place(scene),
        )  # fmt: skip


def _say_place(scene: Scene) -> str:
    link = scene.target.links.get(scene.old)
    return f"a link to {link}" if link else "nothing"


def _proved(step: str) -> Callable[[Scene], bool]:
    """For a step that leaves no trace: this process has done it, or the commit lies behind it."""
    return lambda scene: scene.committed or step in scene.fresh


STEPS: Mapping[str, Step] = {
    step.id: step
    for step in (
        Step(
            "fence", "write down the intent, and hold back the product's timers",
            "they would start or move things in the middle, and a reboot must not end it half-way",
            "let the timers go, and forget the intent",
            lambda s: s.fenced and not s.facts["open_units"],
        ),
        Step(
            "overlay", "derive {overlay}, let Compose prove it, and put it in place",
            "it is inert until .env names it", "none is needed: nothing names it",
            _proved("overlay"),
        ),
        Step(
            "point", "make the mount point {new}, immutable where the filesystem can",
            "nothing can be written beneath it while its disk is missing",
            "take it away, and put back the link that was there",
            lambda s: s.bare(s.new)["kind"] == "directory",
        ),
        Step(
            "fstab", "add {new} to /etc/fstab, beside {old}",
            "whatever happens from here on, a boot finds the state disk", "take the line out",
            lambda s: s.new in s.facts["lines"],
        ),
        Step(
            "reload", "let systemd read /etc/fstab", "by a stale unit it may unmount what we mount",
            "none is needed", _proved("reload"),
        ),
        Step(
            "mount", "mount the state disk (UUID {uuid}) at {new} too",
            "the same filesystem at both places: not a byte is copied", "unmount {new}",
            lambda s: s.mounted(s.new),
        ),
        Step(
            "idle", "see that nobody but the stack uses the state disk",
            "found now, it costs no downtime", "none is needed", _proved("idle"),
        ),
        Step(
            "stop", f"stop the stack, each container with {GRACE_SECONDS} s to end well",
            "the database writes its log back and closes", "start what ran before",
            lambda s: s.committed or not s.present,
        ),
        Step(
            "quiet", "prove that no process, lock or container holds the state disk",
            "a writer left over would be cut off", "none is needed", _proved("quiet"),
        ),
        Step(
            COMMIT, "rename the new .env into place: state is at {new} from here on",
            "the one commit point", "write the old .env again", lambda s: s.committed,
        ),
        Step(
            "umount", "unmount {old}", "one path only leads to the state",
            "", lambda s: not s.mounted(s.old),
        ),
        Step(
            "line", "take {old} out of /etc/fstab; a line that is not ours stays as a comment",
            "no boot shall mount it again", "", lambda s: s.old not in s.facts["lines"],
        ),
        Step(
            "place", "rename the directory {old} aside; in its place comes {place}",
            "readers that do not know STATE_DIR find the state, or fail loudly", "",
            lambda s: s.placed(),
        ),
        Step(
            "start", "start the services that ran before, and no others",
            "after this, going back is a move in the other direction", "",
            lambda s: s.wanted <= s.services and "start" in s.fresh,
        ),
        Step(
            "prove", "wait until they are healthy, and prove the disk in each container",
            "by device number, seen from inside", "", lambda s: "prove" in s.fresh,
        ),
        Step(
            "canary", "commit a row through the app, and see it arrive on the state disk",
            "that the app answers does not say where it writes", "",
            lambda s: "canary" in s.fresh,
        ),
        Step(
            "marker", "write layout {target} into the marker on the state disk",
            "the disk tells by itself how it is used", "",
            lambda s: s.facts["marker"] == s.target.name,
        ),
        Step(
            "record", "write the move into the host's record",
            "later runs leave alone what was not running", "",
            lambda s: s.facts["moved"] == s.move_id,
        ),
        Step(
            "unfence", "let systemd read /etc/fstab, let the timers go, forget the intent",
            "done", "",
            lambda s: s.facts["moved"] == s.move_id
            and not s.facts["fence"] and not s.facts["held_units"],
        ),
    )
}  # fmt: skip
"""Every step there is, by id."""

_EXPAND = ("point", "fstab", "reload", "mount")
_EXPAND_LATE = ("point", "fstab", "mount")
_CONTRACT = ("umount", "line", "place", "start")
_AFTER = ("prove", "canary", "marker", "record", "unfence")


def order(source: Layout, target: Layout) -> list[tuple[str, str]]:
    """The steps of a move as (id, phase), in order.

    All that both layouts tolerate happens before the stop. Where the target's
    mount point is a link of the source's, the link is in use until then.
    """
    late = target.mounts["state"] in source.links
    before = ("fence", "overlay", *(() if late else _EXPAND), "idle")
    down = ("stop", "quiet", *(_EXPAND_LATE if late else ()), COMMIT, *_CONTRACT)
    return [
        (step, phase)
        for phase, steps in ((BEFORE, before), (DOWN, down), (AFTER, _AFTER))
        for step in steps
    ]


def remaining(scene: Scene) -> list[tuple[str, str]]:
    """The steps that are not done, in order; facts decide, not the journal."""
    return [
        (step, phase)
        for step, phase in order(scene.source, scene.target)
        if not STEPS[step].done(scene)
    ]


def undoable(scene: Scene) -> list[str]:
    """The steps up to the commit in the order in which they are undone."""
    steps = [step for step, _phase in order(scene.source, scene.target)]
    return [step for step in reversed(steps[: steps.index(COMMIT) + 1]) if STEPS[step].undo]


@dataclass(frozen=True)
class MovePlan:
    """What a move would do. Empty steps: nothing."""

    scene: Scene
    direction: str
    """forward, or back when a move that has not been committed is given up."""
    steps: tuple[tuple[str, str], ...]
    facts_hash: str
    resting: tuple[str, ...] = ()
    """Services that do not run now, and will not after the move."""

    @property
    def downtime(self) -> str:
        """What to expect, for people."""
        if not any(phase == DOWN for _step, phase in self.steps):
            return "none"
        return (
            "that of 'docker compose down' and 'up' (up to "
            f"{GRACE_SECONDS} s for a container that does not end by itself), and less than a second more"
        )

    def sentences(self) -> list[str]:
        """For people, before it is done."""
        scene = self.scene
        if self.direction == "back":
            return [
                f"give up the move to layout {scene.target.name}, which has not been committed: "
                f"everything back to {scene.old}, and start what ran before"
            ]
        lines = [
            f"move state from {scene.old} (layout {scene.source.name}) to {scene.new} "
            f"(layout {scene.target.name}): {_bytes(scene.facts['used'])} stay where they are on "
            f"the state disk, only its mount point moves"
        ]
        for number, (step, phase) in enumerate(self.steps, start=1):
            down = " [stack down]" if phase == DOWN else ""
            lines.append(f"  {number:2}. {STEPS[step].says(scene)}{down}")
        return [*lines, f"expected downtime: {self.downtime}"]

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "source": self.scene.source.name,
            "target": self.scene.target.name,
            "now": (self.scene.target if self.scene.committed else self.scene.source).name,
            "direction": self.direction,
            "uuid": self.scene.uuid,
            "bytes": self.scene.facts["used"],
            "downtime": self.downtime,
            "facts_hash": self.facts_hash,
            "resting": list(self.resting),
            "steps": [
                {
                    "id": step,
                    "what": STEPS[step].says(self.scene),
                    "why": STEPS[step].why,
                    "undo": STEPS[step].undo.format(old=self.scene.old, new=self.scene.new),
                    "down": phase == DOWN,
                }
                for step, phase in self.steps
            ],
        }


def _bytes(number: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def facts_hash(host: Host) -> str:
    """A hash over the facts that a plan hangs on; no log, time or container id is in it."""
    facts = {
        "env": host["moving"]["env"],
        "env_keys": host["moving"]["env_keys"],
        "devices": sorted(
            [d["maj_min"], d["serial"] or "", d["filesystem"].get("uuid", "")]
            for d in host["devices"]
        ),
        "mounts": sorted([m["target"], m["maj_min"], m["root"]] for m in host["mounts"]),
        "services": sorted([c["service"], c["status"]] for c in host["containers"]),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def check_movable(scene: Scene) -> None:
    """Raise a Refusal unless this version can move this state without risk."""
    facts, old, new = scene.facts, scene.old, scene.new
    for path in (old, new):
        if scene.bare(path)["kind"] == "unknown":
            raise CanNotLook(path=path, found=scene.bare(path)["target"])
    if facts["backend"] != "duckdb":
        raise BackendNotMovable(path=scene.source.state_dir, found=facts["backend"])
    found = inside(facts, old) + inside(facts, new)
    if found:
        raise MountInside(path=old, found=", ".join(found))
    if facts["others"]:
        raise StateDiskShared(path=old, found=", ".join(facts["others"]))
    hidden = [e["name"] for e in scene.bare(old)["entries"] if not is_harmless(e)]
    if hidden:
        raise HiddenState(path=old, found=", ".join(hidden[:5]))
    _check_new_place(scene)


def _check_new_place(scene: Scene) -> None:
    """The new mount point must be absent, a directory without anything of worth, or the source's link."""
    new, found = scene.new, scene.bare(scene.new)
    if scene.mounted(new):
        return
    if any(point["target"] == new for point in scene.facts["points"]):
        raise MovePlaceInUse(path=new, found="another filesystem mounted there")
    if found["kind"] == "link" and scene.source.links.get(new) == found["target"]:
        return
    if found["kind"] not in ("absent", "directory"):
        what = f"a link to '{found['target']}'" if found["kind"] == "link" else "no directory"
        raise MovePlaceInUse(path=new, found=what)
    names = [entry["name"] for entry in found["entries"] if not is_harmless(entry)]
    if names:
        raise MovePlaceInUse(path=new, found=", ".join(names[:5]))
    spec = scene.facts["lines"].get(new)
    if spec and spec != f"UUID={scene.uuid}":
        raise MovePlaceInUse(path=new, found=f"{spec} in /etc/fstab")


def _scene(host: Host, source: Layout, target: Layout) -> Scene:
    fence = host["moving"]["fence"] or {}
    points = [p for p in host["moving"]["points"] if p["root"] == "/"]
    at = {point["target"]: point["uuid"] for point in points}
    uuid = str(fence.get("uuid") or at.get(source.mounts["state"]) or "")
    if not uuid:
        raise MoveNotSupported(
            found=source.state_dir, current=source.name, wanted=target.name,
            kind="with no disk of its own" if source.state_dir not in at else "on a disk without UUID",
        )  # fmt: skip
    return Scene(
        source, target, uuid, host["moving"], str(fence.get("id") or "new"),
        services=frozenset(c["service"] for c in host["containers"]),
        present=frozenset(c["name"] for c in host["containers"]),
        wanted=frozenset(fence.get("services") or ()),
    )  # fmt: skip


def plan_move(host: Host, source: Layout, target: Layout) -> MovePlan:
    """The plan to move state from ``source`` to ``target``. Raises a Refusal.

    Also from every state in which an interrupted move can have left the host.
    """
    scene = _scene(host, source, target)
    check_movable(scene)
    running = {c["service"] for c in host["containers"] if c["status"] == "running"}
    resting = tuple(sorted(scene.services - running - scene.wanted))
    return MovePlan(scene, "forward", tuple(remaining(scene)), facts_hash(host), resting)


def interrupted(host: Host) -> Optional[tuple[Layout, Layout]]:
    """Source and target of a move that has begun and not ended, or None.

    The intent says so; without one, the state disk mounted at two of the
    table's places does, and ``.env`` says which of them is meant.
    """
    fence = host["moving"]["fence"]
    if fence:
        return LAYOUTS[str(fence["source"])], LAYOUTS[str(fence["target"])]
    layouts = list(LAYOUTS.values())
    for target in layouts:
        for source in layouts:
            new, old = (mounted_at(host, each.mounts["state"]) for each in (target, source))
            if source is target or not new or not old or new["maj_min"] != old["maj_min"]:
                continue
            if Scene(source, target, new["uuid"], host["moving"]).committed:
                return source, target
    return None


def plan_interrupted(host: Host, asked: str) -> MovePlan:
    """How a move that was interrupted ends: where it was going, unless ``asked`` names the other layout.

    Back is possible until the commit; after it, back is a move of its own.
    """
    found = interrupted(host)
    assert found is not None
    source, target = found
    scene = _scene(host, source, target)
    if asked == source.name and scene.committed:
        return plan_move(host, target, source)
    if asked == source.name:
        steps = tuple((step, "back") for step in undoable(scene))
        return MovePlan(scene, "back", steps, facts_hash(host))
    return plan_move(host, source, target)
