# SPDX-License-Identifier: GPL-3.0-or-later
"""Observing a host: everything that decisions need, in one value. Read-only."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, Optional

from ..core import dotenv, fstab
from ..core.facts import FORMAT, Env, Host, Mount, StatePlace
from ..core.layouts import DISKS, LAYOUTS, state_dirs
from ..core.tree import MARKER
from . import devices, durable, engine, record

_LOST_AND_FOUND = "lost+found"
_NAMES_SHOWN = 20
_ENV_KEYS_ONCE = ("DATA_DIR", "STATE_DIR", "COMPOSE_FILE")


def _listing(path: str) -> list[str]:
    try:
        names = [name for name in os.listdir(path) if name != _LOST_AND_FOUND]
    except OSError:
        return []
    return sorted(names)[:_NAMES_SHOWN]


def _compose_files(project_dir: str) -> list[str]:
    names = os.listdir(project_dir) if os.path.isdir(project_dir) else []
    return sorted(name for name in names if name.endswith((".yml", ".yaml")))


def read_marker(state_dir: str) -> Optional[dict[str, Any]]:
    """The marker of a state directory, or None; what can't be read has format ``unreadable``."""
    try:
        text = durable.read_text(os.path.join(state_dir, MARKER), limit=65536)
        marker = None if text is None else json.loads(text)
    except (OSError, ValueError):
        return {"format": "unreadable"}
    if marker is not None and not isinstance(marker, dict):
        return {"format": "unreadable"}
    return marker


def state_place(path: str, mounts: list[Mount]) -> StatePlace:
    """What is at ``path``; a link there is reported and not followed."""
    place: StatePlace = {
        "kind": "absent", "target": "", "mounted": False, "names": [], "database": False, "marker": None,
    }  # fmt: skip
    info = durable.read_stat(path)
    if info is None:
        return place
    if stat.S_ISLNK(info.st_mode):
        place["kind"], place["target"] = "link", os.readlink(path)
    elif not stat.S_ISDIR(info.st_mode):
        place["kind"] = "other"
    else:
        place["kind"] = "directory"
        place["mounted"] = any(mount["target"] == path for mount in mounts)
        place["names"] = _listing(path)
        place["database"] = os.path.lexists(os.path.join(path, "system.duckdb"))
        place["marker"] = read_marker(path)
    return place


def read_env(path: str) -> Env:
    """The project's .env without its secrets."""
    text = durable.read_text(path)
    return {
        "path": path,
        "exists": text is not None,
        "values": dotenv.plain(dotenv.read(text or "")),
        "duplicates": [list(item) for item in dotenv.duplicates(text or "", _ENV_KEYS_ONCE)],
    }


def observe(data_device: str, state_device: str, project_dir: str) -> Host:
    """Everything that decisions need of this host."""
    asked = {
        role: devices.resolve(named) for role, named in zip(DISKS, (data_device, state_device))
    }
    known = devices.devices(asked)
    mounts = devices.mounts(known)
    targets = {mount["target"] for mount in mounts}
    found = engine.observe_engine()
    points = {point for layout in LAYOUTS.values() for point in layout.mounts.values()}
    return {
        "format": FORMAT,
        "boot_id": record.boot_id(),
        "devices": known,
        "asked": asked,
        "mounts": mounts,
        "fstab": [vars(entry) for entry in fstab.entries(durable.read_text("/etc/fstab") or "")],
        "env": read_env(os.path.join(project_dir, ".env")),
        "state": {path: state_place(path, mounts) for path in state_dirs()},
        "mount_points": {point: _listing(point) for point in sorted(points - targets)},
        "compose_files": _compose_files(project_dir),
        "engine": found,
        "containers": []
        if found["error"]
        else engine.containers(found["docker"], engine.project_name(project_dir)),
        "record": record.load(),
    }
