# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a move as they follow from a small host, and what each step changes in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.chain import join, split
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import overlays
from ansible_collections.agnes.host.plugins.module_utils.core.move_steps import STEPS, remaining
from ansible_collections.agnes.host.plugins.module_utils.core.scenes import Scene


def bare(kind: str = "directory", target: str = "", *entries: dict[str, Any]) -> dict[str, Any]:
    """What is at a path without its mount."""
    return {"kind": kind, "target": target, "entries": list(entries)}


def leftover(name: str, kind: str = "file", size: int = 0, stub: bool = False) -> dict[str, Any]:
    """One thing in a bare directory."""
    return {"name": name, "kind": kind, "size": size, "stub": stub}


def moving_of(host: dict[str, Any]) -> dict[str, Any]:
    """What the observation says of moving, for a host without anything special."""
    mounts = [dict(m) for m in host["mounts"] if m["target"] in host["state"]]
    targets = {mount["target"] for mount in mounts}
    lines = {line["mount_point"]: line["spec"] for line in host["fstab"]}
    return {
        "fence": None,
        "open_units": [],
        "held_units": [],
        "env": dict(host["env"]["values"]),
        "env_keys": sorted(host["env"]["values"]),
        "points": mounts,
        "bare": {
            path: bare() if path in targets else bare(place["kind"], place["target"])
            for path, place in host["state"].items()
        },
        "lines": {path: spec for path, spec in lines.items() if path in host["state"]},
        "backend": "duckdb",
        "marker": "",
        "shadows": {},
        "roles": {},
        "blocked": {},
        "kernel_users": [],
        "staged": "",
        "formatted": "",
        "files": 12,
        "free": 1 << 30,
        "free_inodes": 1 << 16,
        "unmeasured": {},
        "config_disk": "",
        "moved": "",
        "others": [],
        "used": 10 << 20,
    }


def applied(scene: Scene, step: str) -> Scene:
    """The scene after a step: what the engine does, in the smallest words."""
    facts: Any = copy.deepcopy(scene.facts)
    changes: dict[str, Any] = {"fresh": scene.fresh | {step}}
    if step == "fence":
        facts["fence"], facts["open_units"] = {"id": scene.move_id}, []
    elif step == "point":
        facts["bare"][scene.new] = bare()
    elif step == "fstab":
        facts["lines"][scene.new] = f"UUID={scene.uuid}"
    elif step == "format":
        facts["formatted"] = scene.uuid
    elif step == "stage":
        # Whatever an earlier process has shown is taken back first.
        facts["points"] = [p for p in facts["points"] if p["target"] != scene.new]
        facts["lines"].pop(scene.new, None)
        facts["staged"] = scene.uuid
    elif step == "nest":
        # The same, where what was shown is a directory that has changed places with a link.
        if facts["bare"][scene.new]["kind"] == "directory":
            facts["bare"][scene.new] = bare("link", scene.source.links[scene.new])
            facts["roles"].pop(scene.new)
        facts["staged"] = scene.copy_uuid
    elif step == "put":
        facts["bare"][scene.new] = bare()
        facts["roles"][scene.new] = "sealed"
    elif step == "unstage":
        facts["staged"] = ""
    elif step == "retire":
        facts["roles"][scene.old] = "retired"
    elif step in ("mount", "expose"):
        point = {"target": scene.new, "uuid": scene.uuid, "root": "/", "maj_min": "8:32"}
        facts["points"].append(point)
    elif step == "stop":
        changes.update(services=frozenset(), present=frozenset())
    elif step == "commit":
        chain = [n for n in split(facts["env"].get("COMPOSE_FILE", "")) if n not in overlays()]
        facts["env"] = {**scene.target.env(), "COMPOSE_FILE": join([*chain, scene.target.overlay])}
    elif step in ("umount", "uncover"):
        facts["points"] = [p for p in facts["points"] if p["target"] != scene.old]
        facts["roles"].pop(scene.old, None)
    elif step in ("line", "unlist"):
        facts["lines"].pop(scene.old, None)
    elif step == "place":
        link = scene.target.links.get(scene.old)
        facts["bare"][scene.old] = bare("link", link) if link else bare("absent")
        facts["roles"].pop(scene.old, None)
    elif step == "start":
        changes.update(
            services=scene.wanted, present=frozenset(f"agnes-{n}-1" for n in scene.wanted)
        )
    elif step == "marker":
        facts["marker"] = scene.target.name
        facts["roles"][scene.target.state_dir] = "active"
    elif step == "record":
        facts["moved"] = scene.move_id
    elif step == "unfence":
        facts["fence"], facts["held_units"] = None, []
    return Scene(**{**vars(scene), "facts": facts, **changes})


def stepped(scene: Scene, step: str) -> Scene:
    """The scene after a step that was not done before and is done then."""
    assert not STEPS[step].done(scene), step
    after = applied(scene, step)
    assert STEPS[step].done(after), step
    return after


def killed_anywhere(
    scene: Scene,
    data: st.DataObject,
    most: int,
    check: Callable[[Scene], None],
    never_believed: frozenset[str] | set[str] = frozenset(),
) -> Scene:
    """The end of a move that was killed up to four times, after up to ``most`` steps, and taken up again.

    check: what holds after each step; never_believed: proofs that a new process makes again.
    """
    for _kill in range(data.draw(st.integers(0, 4))):
        for step, _phase in remaining(scene)[: data.draw(st.integers(0, most))]:
            scene = stepped(scene, step)
            check(scene)
        # What a process has proved dies with it.
        scene = Scene(**{**vars(scene), "fresh": frozenset()})
        if not scene.facts["fence"] and scene.committed:
            return scene
    left = [step for step, _phase in remaining(scene)]
    if not scene.committed:
        assert never_believed <= set(left), "a new process believes nothing of an older one"
    for step in left:
        scene = stepped(scene, step)
        check(scene)
    return scene
