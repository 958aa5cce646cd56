# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes, and which directories that containers use, hold the product's state or data. Read-only."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.compose.overlay import DATA_VOLUME
from ...core.disks.elsewhere import proof
from ...core.host.facts import Elsewhere
from ...core.layout.layouts import (
    LAYOUTS,
    is_at_a_place,
    resolve_data_dir,
    resolve_state_dir,
    state_dirs,
)
from ..compose.engine import PROJECT_LABEL, Volumes
from ..host import listing
from . import contents, mountinfo

_VOLUME_LABEL = "com.docker.compose.volume"
_LOCAL = "local"
_BINDS = ("bind", "rbind")


def _is_at_a_place(path: str) -> bool:
    """The same as ``is_at_a_place``, by whatever links the path leads there."""
    return is_at_a_place(os.path.realpath(path))


def _targets(container: Mapping[str, Any]) -> set[str]:
    """Where data and state are in a container."""
    paths = container["paths"]
    return {resolve_data_dir(paths), resolve_state_dir(paths), *state_dirs()} | {
        layout.mounts["data"] for layout in LAYOUTS.values()
    }


def _used(containers: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """(kind, name or path) -> the containers that have it for data or state."""
    used_by: dict[tuple[str, str], list[str]] = {}
    for container in containers:
        for mount in container["mounts"]:
            if mount["target"] not in _targets(container) or mount["type"] not in (
                "bind",
                "volume",
            ):
                continue
            is_volume = mount["type"] == "volume"
            key = ("volume", mount["volume"]) if is_volume else ("directory", mount["source"])
            used_by.setdefault(key, []).append(f"{container['name']} ({container['status']})")
    return used_by


def _place(volume: Mapping[str, Any]) -> tuple[str, str]:
    """Where a volume's files are on the host, or why they can't be looked at."""
    if volume.get("Driver") != _LOCAL:
        return "", f"its driver is '{volume.get('Driver')}', which only the engine can read"
    options = volume.get("Options") or {}
    device, how = str(options.get("device") or ""), str(options.get("o") or "").split(",")
    if device and (set(how) & set(_BINDS) or options.get("type") in _BINDS):
        return device, ""
    path = str(volume.get("Mountpoint") or "")
    if device and not any(line.target == path for line in mountinfo.read()):
        if options.get("type") == "tmpfs":
            return path, ""
        return "", f"'{device}' is mounted there only while a container uses it"
    return path, ""


def _empty(kind: str, name: str, path: str, used_by: list[str], unknown: str) -> Elsewhere:
    return {
        "kind": kind, "name": name, "path": path or name, "proof": [], "size": -1, "whole": False,
        "newest": "", "used_by": sorted(set(used_by)), "unknown": unknown,
    }  # fmt: skip


def _looked_at(kind: str, name: str, path: str, used_by: list[str], own: bool) -> Elsewhere:
    place = _empty(kind, name, path, used_by, "")
    try:
        inside = contents.look(path)
        place["proof"], place["newest"] = proof(inside, own), inside["newest"]
        if place["proof"]:
            place["size"], place["whole"] = contents.measured(path)
    except FileNotFoundError:
        # A bind whose directory is gone; the engine makes it anew, empty.
        pass
    except OSError as error:
        place["unknown"] = error.strerror or str(error)
    return place


def _volume(
    volume: Mapping[str, Any], project: str, used: Mapping[tuple[str, str], list[str]]
) -> Elsewhere:
    name, labels = str(volume.get("Name")), volume.get("Labels") or {}
    used_by = used.get(("volume", name), [])
    own = labels.get(PROJECT_LABEL) == project or name.startswith(f"{project}_") or bool(used_by)
    # Of other volumes of the project it is no matter whether they could be looked at.
    is_data = name == f"{project}_{DATA_VOLUME}" or labels.get(_VOLUME_LABEL) == DATA_VOLUME
    path, unknown = _place(volume)
    if path and _is_at_a_place(path):
        return _empty("volume", name, path, used_by, "")
    place = (
        _empty("volume", name, "", used_by, unknown)
        if unknown
        else _looked_at("volume", name, path, used_by, own)
    )
    if place["unknown"] and not (used_by or (own and is_data)):
        place["unknown"] = ""
    return place


def _may_be_directory(path: str) -> bool:
    """Whether a directory is there, or that can't be told."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        return error.errno not in listing.ABSENT


def look(
    volumes: Volumes,
    project: str,
    containers: Sequence[Mapping[str, Any]],
    project_dir: str = "/opt/agnes",
) -> list[Elsewhere]:
    """What holds state or data elsewhere, or may do so and could not be looked at."""
    used = _used(containers)
    places = [_volume(volume, project, used) for volume in volumes.listed]
    if volumes.unknown:
        places = [_empty("volume", f"{project}_{DATA_VOLUME}", "", [], volumes.unknown)]
    for (kind, path), names in used.items():
        if kind == "directory" and not _is_at_a_place(path):
            places.append(_looked_at(kind, path, path, names, own=True))
    # Where a stack without disks often binds its data; its containers may be gone.
    beside = os.path.join(project_dir, DATA_VOLUME)
    if ("directory", beside) not in used and _may_be_directory(beside):
        places.append(_looked_at("directory", beside, beside, [], own=False))
    return [item for item in places if item["proof"] or item["unknown"]]
