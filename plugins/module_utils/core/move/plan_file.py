# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a move, or of disks that are formatted or mounted, as a file: shown first, and later applied as it stands or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..host.facts import Host
from ..layout.choice import current_layout
from ..layout.layouts import LAYOUTS
from .intent import PLANNED, MoveIntent
from .move_errors import PlanDone, PlanForeign, PlanStale, PlanUnreadable
from .move_status import intent_in
from .plan_facts import changed, facts_of, hash_of

FORMAT = 1
"""Format of the file; a change that a reader would misread raises it."""

_SAID = (*PLANNED, "bytes", "downtime", "steps")
"""What the file has of the part ``move`` of a plan; there is no secret in it."""

DISKS_ONLY = "disks"
"""Kind of a plan that moves nothing: disks are formatted or mounted."""

_SAID_OF_DISKS = ("target", "kind", "disks", "facts")
"""What such a file has."""

_DISK = ("action", "fstype", "identity", "lost", "mount_point", "uuid")
"""What tells a disk that is written to, whatever the kernel calls it."""

MADE = ("format", "mount")
"""Actions for which a plan of disks is worth a file."""


_END_IT = "run once without a plan, which ends what was begun"
"""What to do first where an earlier run was cut off."""


@dataclass(frozen=True)
class Given:
    """The plan that a run is to apply, and no other one."""

    path: str
    content: Mapping[str, Any]
    applied: bool
    """Whether this very run has carried it out already, so that its facts have changed."""

    @property
    def target(self) -> str:
        """The layout that it leads to."""
        return str(self.content["target"])

    @property
    def of_disks(self) -> bool:
        """Whether it moves nothing."""
        return bool(self.content["kind"] == DISKS_ONLY)

    @property
    def facts_hash(self) -> str:
        """The hash over the facts that it depends on."""
        return str(self.content["facts_hash"])


def written(plan: Mapping[str, Any], host: str) -> str:
    """The file for a plan of a move that has not begun, or of disks. host: its name in the inventory."""
    move = plan["move"]
    said = {key: move[key] for key in _SAID} if move else {
        "target": plan["layout"], "kind": DISKS_ONLY, "disks": plan["disks"], "facts": plan["facts"],
    }  # fmt: skip
    content = {
        "format": FORMAT,
        "host": host,
        "layout": plan["layout"],
        **said,
        "facts_hash": hash_of(said["facts"]),
    }
    return json.dumps(content, indent=2) + "\n"


def _parsed(path: str, text: str) -> dict[str, Any]:
    if not text:
        raise PlanUnreadable(path=path, found="no file, or an empty one")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise PlanUnreadable(path=path, found=f"no JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        form = content.get("format") if isinstance(content, dict) else None
        raise PlanUnreadable(path=path, found=f"format {form}, this version reads {FORMAT}")
    of_disks = content.get("kind") == DISKS_ONLY
    missing = {"host", "facts_hash", *(_SAID_OF_DISKS if of_disks else _SAID)} - set(content)
    if missing:
        raise PlanUnreadable(path=path, found=f"no {', '.join(sorted(missing))}")
    if not of_disks:
        try:
            MoveIntent.from_plan(content)
        except ValueError as error:
            raise PlanUnreadable(path=path, found=error) from error
    parts = content["disks" if of_disks else "steps"]
    whole = isinstance(content["facts"], dict) and isinstance(parts, list)
    whole = whole and all(isinstance(part, dict) for part in parts)
    if not whole or content["facts_hash"] != hash_of(content["facts"]):
        raise PlanUnreadable(path=path, found="a facts_hash that is not that of its facts")
    if content["target"] not in LAYOUTS:
        raise PlanUnreadable(path=path, found=f"unknown layout '{content['target']}'")
    return content


def given(asked: Mapping[str, Any], host: str, layout: str) -> Optional[Given]:
    """The plan that a run was given, or None. Raises a Refusal for one that is not for this run.

    asked: ``path`` (empty for none), ``text``, and whether this run has carried it out: ``applied``
    for one of a move, ``made`` for one of disks; host: this host's name in
    the inventory; layout: what ``-e layout=`` says, if anything.
    """
    path = str(asked.get("path") or "")
    if not path:
        return None
    content = _parsed(path, str(asked.get("text") or ""))
    if content["host"] != host:
        raise PlanForeign(path=path, found=f"host {content['host']}", wanted=f"host {host}")
    if layout and layout != content["target"]:
        said, wanted = f"layout {content['target']}", f"-e layout={layout}"
        raise PlanForeign(path=path, found=said, wanted=wanted)
    done = "made" if content["kind"] == DISKS_ONLY else "applied"
    return Given(path, content, bool(asked.get(done)))


def _meant(move: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal beside the facts, each under the name that a refusal gives it."""
    disk = move["disk"] or {}
    return {
        "kind": move["kind"],
        "source": move["source"],
        "copy_that_counts": move["copy_that_counts"],
        "disk": {key: disk.get(key) for key in _DISK},
        "steps": [[step["id"], step["down"]] for step in move["steps"]],
    }


def check_given(plan: Given, host: Host, move: Mapping[str, Any]) -> None:
    """Raise a Refusal unless ``move``, planned from what was observed now, is that very plan.

    A move that was begun with this plan and interrupted goes on.
    """
    if plan.applied:
        return
    name, target = f"the plan '{plan.path}'", plan.target
    if plan.of_disks:
        if move and move["begun"]:
            raise PlanStale(_END_IT, plan=name, found="a move has begun and not ended")
        if move:
            raise PlanStale(plan=name, found="there is state to move")
        return
    if not move and current_layout(host):
        raise PlanDone(plan=name, target=target)
    if not move:
        raise PlanStale(plan=name, found="there is no state to move")
    intent = intent_in(host["moving"])
    # A move that turned another one round hangs on no facts: no plan is the one that it began with.
    own = intent and intent.facts and hash_of(intent.facts) == plan.facts_hash
    if own and move["target"] == target:
        return
    if move["begun"]:
        raise PlanStale(_END_IT, plan=name, found="a move began that is not this one")
    changes = changed(plan.content["facts"], facts_of(host))
    if not changes:
        changes = changed(_meant(plan.content), _meant(move))
    if changes:
        raise PlanStale(plan=name, found=f"changed: {', '.join(changes)}")


def check_disks(plan: Given, host: Host, disks: Sequence[Mapping[str, Any]]) -> None:
    """Raise a Refusal unless ``disks``, planned from what was observed now, are those of the plan.

    Those that nothing tells from others are known by their numbers until the next boot.
    """
    if plan.applied or not plan.of_disks:
        return
    name = f"the plan '{plan.path}'"
    if not any(disk["action"] in MADE for disk in disks):
        raise PlanDone(plan=name, target=plan.target)
    changes = changed(plan.content["facts"], facts_of(host))
    then, now = (
        {disk.get("role", ""): {key: disk.get(key) for key in (*_DISK, "size")} for disk in each}
        for each in (plan.content["disks"], disks)
    )
    differing = [role for role in now if then.get(role) != now[role]]
    changes += [f"the {role} disk" for role in differing]
    if not changes:
        return
    # A disk that was to be formatted and that this host's record knows by now.
    known = host["record"].get("disks") or {}
    begun = [r for r in differing if r in known and (then.get(r) or {}).get("action") == "format"]
    if begun:
        what = f"a run has begun to format the {' and the '.join(begun)} disk"
        raise PlanStale(_END_IT, plan=name, found=what)
    raise PlanStale(plan=name, found=f"changed: {', '.join(changes)}")
