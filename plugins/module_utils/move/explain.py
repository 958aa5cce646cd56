# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator wants to know of a host, on one screen."""

from __future__ import annotations

import os
import posixpath
from typing import Any, Optional

from ..core.compose.project import PRODUCT_NAME
from ..core.disks import fstab, which_copy
from ..core.disks import protection as core_protection
from ..core.disks.disks import RETIRED_DISK
from ..core.layout.layouts import DISKS, LAYOUTS, Layout, layout_at, resolve_state_dir, state_dirs
from ..core.move.intent import FORWARD
from ..core.move.move_kinds import kind_of
from ..core.move.move_status import MoveFacts, MoveStatus, intent_in, no_leftovers, points_to
from ..core.move.presence import must_show
from ..system.compose.engine import containers
from ..system.disks import evidence, filesystems, fstab_file, protection
from ..system.host import record
from ..system.host.commands import run, which
from ..system.move import ledger, moving

PROJECT_DIR = "/opt/agnes"
JOURNAL_LINES = 8
_WIDTH = 11
"""Columns of a line's subject."""


def _layout(facts: MoveFacts) -> Optional[Layout]:
    return next((each for each in LAYOUTS.values() if points_to(facts["env"], each)), None)


def _named(facts: MoveFacts) -> str:
    """Where ``.env`` puts state, by the rule of the product's own resolver."""
    return posixpath.normpath(resolve_state_dir(facts["env"]))


def _shown_elsewhere(facts: MoveFacts) -> str:
    """Where this host's state disk is mounted, if that is another place than ``.env`` names only; else empty.

    It is the place that is right then: what rewrites ``.env`` moves no disk (AH004).
    """
    uuid = ((record.read().get("disks") or {}).get("state") or {}).get("uuid")
    at = [point["target"] for point in facts["points"] if uuid and point["uuid"] == uuid]
    return at[0] if at and _named(facts) not in at else ""


def _no_layout(facts: MoveFacts) -> str:
    """What to do about an ``.env`` that is of no layout."""
    named = _named(facts)
    layout = layout_at(named)
    if layout is None:
        return f".env puts state at {named}, where no layout has it: see AH003 in docs/errors.md"
    return (
        f".env puts state at {named}, and COMPOSE_FILE ends with another layout's overlay than {layout.overlay}: "
        "find out what rewrote the file, then run site.yml"
    )


def _wanted(facts: MoveFacts, layout: Optional[Layout]) -> dict[str, tuple[str, str]]:
    """Mount point -> role and UUID of the disks that must be mounted now: by the move under way, else by the record."""
    intent, disks = intent_in(facts), record.read().get("disks") or {}
    if intent:
        source, target = LAYOUTS[intent.source], LAYOUTS[intent.target]
        status = MoveStatus(source, target, intent.uuid, facts, kind_of(intent), intent.id)
        data = source.mounts["data"]
        return {
            path: ("data" if path == data else "state", uuid)
            for path, uuid in must_show(status, intent.data_uuid).items()
        }
    if layout is None:
        return {}
    return {
        layout.mounts[role]: (role, disks[role]["uuid"])
        for role in DISKS
        if role in layout.mounts and (disks.get(role) or {}).get("uuid")
    }


def _unmounted(facts: MoveFacts, layout: Optional[Layout]) -> list[tuple[str, str, str]]:
    """Role, mount point and UUID of the disks that must be mounted and are not, in the order to mount them."""
    disks = []
    for path, (role, uuid) in _wanted(facts, layout).items():
        _device, shown, root = moving.mount_at(path)
        if (shown, root) != (uuid, "/"):
            disks.append((role, path, uuid))
    return disks


def _command(path: str, uuid: str) -> str:
    """What an operator types to have it mounted."""
    if run(["findfs", f"UUID={uuid}"], codes=()).code:
        return f"attach the disk with UUID {uuid}, then 'mount UUID={uuid} {path}'"
    text = fstab_file.read(filesystems.FSTAB)
    return f"'mount {path}'" if fstab.at(text, path) else f"'mount UUID={uuid} {path}'"


def _mounts(facts: MoveFacts, layout: Optional[Layout]) -> list[str]:
    lines = [
        f"mounted    {point['target']}: {point['source']} (UUID {point['uuid'] or 'none'})"
        for point in facts["points"]
    ]
    missing = _unmounted(facts, layout)
    lines += [
        f"MISSING    {path}: the {role} disk (UUID {uuid}) is not mounted there"
        for role, path, uuid in missing
    ]
    needs_disk = layout is not None and layout.needs_state_disk
    if not facts["points"] and not any(role == "state" for role, _path, _uuid in missing):
        lines.append(
            f"mounted    no state disk{'' if needs_disk else '; state is a plain directory'}"
        )
    _device, uuid, root = moving.mount_at(moving.STAGE)
    if uuid:
        what = "a disk" if root == "/" else f"the directory {root} of a disk"
        lines.append(f"copying    to {what} (UUID {uuid}) that is mounted at {moving.STAGE}")
    left = (record.read().get("disks") or {}).get(RETIRED_DISK)
    if left:
        lines.append(
            f"left       the disk with UUID {left['uuid']}: what state was before, kept as it is"
        )
    return lines


def _places(facts: MoveFacts) -> list[str]:
    lines, mounted = [], {point["target"] for point in facts["points"]}
    for path in state_dirs():
        label = "shadowed" if path in mounted else "unmounted"
        place = facts["unmounted"][path]
        what = f"a link to {place['target']}" if place["kind"] == "link" else f"a {place['kind']}"
        names = ", ".join(entry["name"] for entry in place["entries"][:5])
        if place["kind"] != "absent":
            lines.append(f"{label:<{_WIDTH}}{path}: {what}{', holds ' + names if names else ''}")
    return lines


def _guarded(facts: MoveFacts, layout: Optional[Layout]) -> list[str]:
    """What keeps everybody from writing to a mount point while its disk is away."""
    lines = []
    for path in _wanted(facts, layout):
        state = protection.look(path)
        lift = (
            f"; {core_protection.how_to_lift(path)}" if state == core_protection.IMMUTABLE else ""
        )
        lines.append(f"protection {path}: {core_protection.say(state)}{lift}")
    return lines


def _copies(facts: MoveFacts, project_dir: str) -> list[str]:
    """The evidence where a mount shadows what may be a second copy of state."""
    docker, sentences = which("docker") or "", []
    if any(no_leftovers(each) for each in facts["unmounted"].values()):
        running = containers(docker, PRODUCT_NAME) if docker else []
        for path, shadow in evidence.shadows(
            facts["points"], facts["unmounted"], docker, running
        ).items():
            if shadow["conflicts"]:
                sentences.append(f"TWO COPIES {path}: {which_copy.evidence(shadow)}")
    return sentences


def _next(
    facts: MoveFacts, layout: Optional[Layout], result: dict[str, Any], project_dir: str
) -> str:
    intent = intent_in(facts)
    mounts = [_command(path, uuid) for _role, path, uuid in _unmounted(facts, layout)]
    first = f"{', '.join(mounts)}; then: " if mounts else ""
    if intent:
        way = "on" if intent.direction == FORWARD else "back"
        return (
            f"{first}a move from {intent.source} to {intent.target} is not ended: run site.yml again, or "
            f"'systemctl start agnes-host-move'; it goes {way} from where it is"
        )
    if elsewhere := _shown_elsewhere(facts):
        return (
            f".env puts state at {_named(facts)}, and the state disk is mounted at {elsewhere}: mount nothing, set "
            f"STATE_DIR={elsewhere} again if that is this host's state, and find out what rewrote the file (AH004 in "
            "docs/errors.md); then run site.yml"
        )
    if layout is None:
        return _no_layout(facts)
    if mounts:
        stop = f"'docker compose --profile '*' stop' in {project_dir}"
        return f"start nothing, and stop what runs ({stop}); {', then '.join(mounts)}, then run site.yml"
    at = {point["target"] for point in facts["points"]}
    if layout.needs_state_disk and layout.mounts["state"] not in at:
        return (
            f"nothing is mounted at {layout.mounts['state']}: start nothing, mount the state disk"
        )
    if result and not result.get("ok"):
        return f"the last move failed: {result.get('message')}"
    return "nothing is to be done"


def by_subject(line: str) -> dict[str, str]:
    """A line of the screen as its subject and text, for programs."""
    return {"subject": line[:_WIDTH].strip(), "text": line[_WIDTH:]}


def explain(project_dir: str = PROJECT_DIR) -> list[str]:
    """The lines of the screen."""
    facts = moving.look(project_dir)
    layout = _layout(facts)
    result = ledger.read(ledger.RESULT) or {}
    name = layout.name if layout else "unknown"
    lines = [
        f"host       {os.uname().nodename}",
        f"layout     {name}: STATE_DIR={_named(facts)}, by {project_dir}/.env",
        *_mounts(facts, layout),
        *_places(facts),
        *_guarded(facts, layout),
        *_copies(facts, project_dir),
        *(f"fstab      {path}: {spec}" for path, spec in sorted(facts["lines"].items())),
        f"marker     layout {facts['marker'] or 'none'}, database backend {facts['backend']}",
    ]
    if facts["held_units"]:
        lines.append(f"held back  {', '.join(facts['held_units'])}")
    intent = intent_in(facts)
    if intent and intent.data_taken:
        lines.append(
            f"taken      {layout.mounts['data'] if layout else '/data'} is root's until the start"
        )
    for entry in ledger.tail(JOURNAL_LINES):
        text = f": {entry['text']}" if entry.get("text") else ""
        lines.append(f"journal    {entry['at']} {entry['step']} {entry['phase']}{text}")
    return [*lines, f"next       {_next(facts, layout, result, project_dir)}"]
