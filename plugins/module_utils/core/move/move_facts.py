# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a move goes by: what only a move asks of a host, with what follows from the host's other facts.

The observation holds each fact once. The plan makes this view of it; the runner, which looks
by itself under its locks, makes the same view of what it has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..disks.disks import COPY_TARGET, FORMATTED
from ..disks.mounts import Mount, at_state
from ..host.facts import Host
from ..layout.layouts import resolve_state_dir, state_dirs
from .move_status import MoveFacts, Moving

_ENV_KEYS = ("DATA_DIR", "STATE_DIR", "COMPOSE_FILE")


def place_of(env: Mapping[str, str]) -> str:
    """The state directory that ``.env`` names, by the table's path; the first one where it names another."""
    named = resolve_state_dir(env)
    return named if named in state_dirs() else state_dirs()[0]


def _formatted(record: Mapping[str, Any]) -> str:
    disk = (record.get("disks") or {}).get(COPY_TARGET) or {}
    return str(disk.get("uuid") or "") if disk.get("phase") == FORMATTED else ""


def move_facts(
    moving: Moving,
    env: Mapping[str, str],
    mounts: Iterable[Mount],
    fstab: Iterable[Mapping[str, Any]],
    markers: Mapping[str, Mapping[str, Any]],
    record: Mapping[str, Any],
) -> MoveFacts:
    """The view.

    env: the keys of ``.env``; mounts: in the order of mounting; fstab: entries with their
    ``mount_point`` and ``spec``; markers: of the state directories, empty where there is none.
    """
    marker = markers.get(place_of(env)) or {}
    return {
        **moving,
        "env": {key: env[key] for key in _ENV_KEYS if key in env},
        "points": at_state(mounts),
        "lines": {e["mount_point"]: e["spec"] for e in fstab if e["mount_point"] in state_dirs()},
        "marker": str(marker.get("layout") or ""),
        "roles": {path: str(m["role"]) for path, m in markers.items() if "role" in m},
        "formatted": _formatted(record),
        "moved": str((record.get("move") or {}).get("id") or ""),
    }


def facts_of_host(host: Host) -> MoveFacts:
    """The view of a host that was observed."""
    markers = {path: place["marker"] or {} for path, place in host["state"].items()}
    return move_facts(
        host["moving"], host["env"]["values"], host["mounts"], host["fstab"], markers,
        host["record"],
    )  # fmt: skip
