# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a move as they follow from a small host, and what each step changes in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.compose.chain import join, split
from ansible_collections.agnes.host.plugins.module_utils.core.disks.mounts import at_state
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import overlays
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import Before, MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_facts import (
    facts_of_host,
    place_of,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import (
    STEPS,
    remaining,
)


def unmounted(
    kind: str = "directory", target: str = "", *entries: dict[str, Any]
) -> dict[str, Any]:
    """What is at a path without its mount."""
    return {"kind": kind, "target": target, "entries": list(entries)}


def intent(source: str = "nested", target: str = "flat", **differs: Any) -> dict[str, Any]:
    """An intent as it is observed, of a move that has begun."""
    made: dict[str, Any] = {
        "source": source, "target": target, "kind": "remount", "uuid": "u-state", "disk": {},
        "copy_that_counts": "", "direction": "forward", "facts": {}, "id": "m", "services": ["app"],
        "data_uuid": "u-data", "before": Before(point="absent"),
    }  # fmt: skip
    return MoveIntent(**{**made, **differs}).to_dict()


def leftover(name: str, kind: str = "file", size: int = 0, stub: bool = False) -> dict[str, Any]:
    """One thing in an unmounted directory."""
    return {"name": name, "kind": kind, "size": size, "stub": stub}


def moving_of(host: dict[str, Any]) -> dict[str, Any]:
    """What the observation says of moving, for a host without anything special."""
    targets = {mount["target"] for mount in host["mounts"]}
    return {
        "intent": None,
        "open_units": [],
        "held_units": [],
        "unmounted": {
            path: unmounted() if path in targets else unmounted(place["kind"], place["target"])
            for path, place in host["state"].items()
        },
        "backend": "duckdb",
        "shadows": {},
        "blocked": {},
        "kernel_users": [],
        "kernel_unread": {},
        "staged": "",
        "files": 12,
        "free": 1 << 30,
        "free_inodes": 1 << 16,
        "unmeasured": {},
        "config_disk": "",
        "others": [],
        "used": 10 << 20,
    }


def move_facts_of(host: Any) -> Any:
    """What a move sees of a host."""
    return facts_of_host(host)


def with_keys(host: Any, *names: str) -> Any:
    """The host with keys of these names in ``.env``."""
    host["env"]["keys"] = list(names)
    return host


def _marker(host: Any, path: str, **differs: Any) -> None:
    marker = host["state"][path]["marker"] or {"format": 1}
    wanted = {key: value for key, value in {**marker, **differs}.items() if value}
    host["state"][path]["marker"] = None if wanted == {"format": 1} else wanted


def with_facts(host: Any, **facts: Any) -> Any:
    """The host with these facts of a move, each put where the observation holds it."""
    for key, value in facts.items():
        if key == "env":
            host["env"].update(values=dict(value), keys=sorted(value))
        elif key == "points":
            others = [m for m in host["mounts"] if m not in at_state(host["mounts"])]
            host["mounts"] = [*others, *value]
        elif key == "lines":
            others = [line for line in host["fstab"] if line["mount_point"] not in host["state"]]
            made = [
                {"line": 2, "maj_min": "", "mount_point": p, "spec": s} for p, s in value.items()
            ]
            host["fstab"] = [*others, *made]
        elif key == "roles":
            for path in host["state"]:
                _marker(host, path, role=value.get(path))
        elif key == "marker":
            _marker(host, place_of(host["env"]["values"]), layout=value)
        elif key == "formatted":
            disk = {"uuid": value, "phase": "formatted"}
            host["record"].setdefault("disks", {}).update({"copy": disk} if value else {})
        elif key == "moved":
            host["record"].setdefault("move", {})["id"] = value
        else:
            host["moving"][key] = value
    return host


def applied(status: MoveStatus, step: str) -> MoveStatus:
    """The status after a step: what the runner does, in the smallest words."""
    facts: Any = copy.deepcopy(status.facts)
    changes: dict[str, Any] = {"fresh": status.fresh | {step}}
    if step == "intent":
        said = intent(
            status.source.name, status.target.name, id=status.move_id, kind=status.kind.name
        )
        facts["intent"], facts["open_units"] = said, []
    elif step == "point":
        facts["unmounted"][status.new] = unmounted()
    elif step == "fstab":
        facts["lines"][status.new] = f"UUID={status.uuid}"
    elif step == "format":
        facts["formatted"] = status.uuid
    elif step == "stage":
        # Whatever an earlier process has shown is taken back first.
        facts["points"] = [p for p in facts["points"] if p["target"] != status.new]
        facts["lines"].pop(status.new, None)
        facts["staged"] = status.uuid
    elif step == "nest":
        # The same, where what was shown is a directory that has changed places with a link.
        if facts["unmounted"][status.new]["kind"] == "directory":
            facts["unmounted"][status.new] = unmounted("link", status.source.links[status.new])
            facts["roles"].pop(status.new)
        facts["staged"] = status.copy_uuid
    elif step == "put":
        facts["unmounted"][status.new] = unmounted()
        facts["roles"][status.new] = "sealed"
    elif step == "unstage":
        facts["staged"] = ""
    elif step == "retire":
        facts["roles"][status.old] = "retired"
    elif step in ("mount", "expose"):
        point = {"target": status.new, "source": "/dev/sdc", "fstype": "ext4", "maj_min": "8:32",
                 "uuid": status.uuid, "root": "/"}  # fmt: skip
        facts["points"].append(point)
    elif step == "stop":
        changes.update(services=frozenset(), present=frozenset())
    elif step == "commit":
        chain = [n for n in split(facts["env"].get("COMPOSE_FILE", "")) if n not in overlays()]
        facts["env"] = {
            **status.target.env(),
            "COMPOSE_FILE": join([*chain, status.target.overlay]),
        }
    elif step in ("umount", "reveal"):
        facts["points"] = [p for p in facts["points"] if p["target"] != status.old]
        facts["roles"].pop(status.old, None)
    elif step in ("line", "unlist"):
        facts["lines"].pop(status.old, None)
    elif step == "place":
        link = status.target.links.get(status.old)
        facts["unmounted"][status.old] = unmounted("link", link) if link else unmounted("absent")
        facts["roles"].pop(status.old, None)
    elif step == "start":
        changes.update(
            services=status.wanted, present=frozenset(f"agnes-{n}-1" for n in status.wanted)
        )
    elif step == "marker":
        facts["marker"] = status.target.name
        facts["roles"][status.target.state_dir] = "active"
    elif step == "record":
        facts["moved"] = status.move_id
    elif step == "forget":
        facts["intent"], facts["held_units"] = None, []
    return MoveStatus(**{**vars(status), "facts": facts, **changes})


def stepped(status: MoveStatus, step: str) -> MoveStatus:
    """The status after a step that was not done before and is done then."""
    assert not STEPS[step].done(status), step
    after = applied(status, step)
    assert STEPS[step].done(after), step
    return after


def killed_anywhere(
    status: MoveStatus,
    data: st.DataObject,
    most: int,
    check: Callable[[MoveStatus], None],
    never_believed: frozenset[str] | set[str] = frozenset(),
) -> MoveStatus:
    """The end of a move that was killed up to four times, after up to ``most`` steps, and taken up again.

    check: what holds after each step; never_believed: proofs that a new process makes again.
    """
    for _kill in range(data.draw(st.integers(0, 4))):
        for step, _phase in remaining(status)[: data.draw(st.integers(0, most))]:
            status = stepped(status, step)
            check(status)
        # What a process has proved dies with it.
        status = MoveStatus(**{**vars(status), "fresh": frozenset()})
        if not status.facts["intent"] and status.committed:
            return status
    left = [step for step, _phase in remaining(status)]
    if not status.committed:
        assert never_believed <= set(left), "a new process believes nothing of an older one"
    for step in left:
        status = stepped(status, step)
        check(status)
    return status
