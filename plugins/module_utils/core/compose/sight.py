# SPDX-License-Identifier: GPL-3.0-or-later
"""What the containers of a service see of the disks, by the resolved chain.

Pure, and asked twice: before anything is stopped, of the chain as it will be, and
after the start, when each of these paths is looked at inside of the containers.
Services are those of a cut configuration, see overlay.cut.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..layout.layouts import Layout, is_below, resolve_state_dir, state_dirs

Mount = dict[str, Any]
"""One entry of a service's ``volumes`` in the resolved long form."""


@dataclass(frozen=True)
class Need:
    """A path in a container that must be on one of the disks."""

    role: str
    """data or state."""
    source: str
    """The path on the host that must show there."""


def mounts_in(services: Mapping[str, Mapping[str, Any]], name: str) -> list[Mount]:
    """All mounts of a service: its own, its tmpfs, and those that it takes from other services."""
    service = services[name]
    mounts = [dict(mount) for mount in service.get("volumes") or ()]
    mounts += [{"type": "tmpfs", "target": path} for path in service.get("tmpfs") or ()]
    have = {posixpath.normpath(mount["target"]) for mount in mounts}
    for each in service.get("volumes_from") or ():
        # SERVICE[:ro|rw]; container:NAME is no service of the chain, and only the engine knows it.
        other, _colon, mode = each.partition(":")
        if other not in services or other == name:
            continue
        for mount in services[other].get("volumes") or ():
            if posixpath.normpath(mount["target"]) not in have:
                mounts.append({**mount, "read_only": True} if mode == "ro" else dict(mount))
    return mounts


def covering(mounts: Sequence[Mount], path: str) -> Optional[Mount]:
    """The mount that shows at ``path`` in a container, or None where it is the image's own."""
    over = [mount for mount in mounts if is_below(path, mount["target"])]

    def height(mount: Mount) -> tuple[int, bool]:
        # The longest target is on top; a tmpfs that has the same target is taken for the one.
        return len(posixpath.normpath(mount["target"])), mount["type"] == "tmpfs"

    return max(over, key=height, default=None)


def _leads_to(
    mounts: Sequence[Mount], path: str, layout: Layout
) -> tuple[Optional[Mount], Optional[str]]:
    """The mount that shows at a path in a container, and the path on the host that it leads to.

    A link of the layout that is met on the way is followed in the container, as its processes do.
    """
    for _hop in range(len(layout.links) + 1):
        mount = covering(mounts, path)
        if mount is None or mount["type"] != "bind":
            return mount, None
        rest = posixpath.relpath(path, posixpath.normpath(mount["target"]))
        host = posixpath.normpath(posixpath.join(mount.get("source", ""), rest))
        link = next((link for link in layout.links if is_below(host, link)), None)
        if link is None:
            return mount, host
        path = posixpath.normpath(posixpath.join(layout.links[link], posixpath.relpath(host, link)))
    return None, None


def has_whole_data(mounts: Sequence[Mount], layout: Layout) -> list[str]:
    """The paths in a container at which it has the whole data disk."""
    data = layout.mounts["data"]
    return [
        posixpath.normpath(mount["target"])
        for mount in mounts
        if mount["type"] == "bind" and posixpath.normpath(mount.get("source", "")) == data
    ]


def _state_paths(mounts: Sequence[Mount], paths: Mapping[str, str], layout: Layout) -> list[str]:
    """Where the processes of a container look for state.

    By their environment, and where they have the whole data disk at the layout's own
    path, or anything at STATE_DIR itself, by the layout. An environment of other software, with a DATA_DIR of its own,
    means nothing here unless the container holds a disk.
    """
    whole = has_whole_data(mounts, layout)
    exact = any(posixpath.normpath(mount["target"]) == layout.state_dir for mount in mounts)
    state_paths = [layout.state_dir] if exact or layout.mounts["data"] in whole else []
    if paths:
        named = posixpath.normpath(resolve_state_dir(paths))
        if whole or named in state_dirs() or _on_state(mounts, layout):
            state_paths.append(named)
    return list(dict.fromkeys(state_paths))


def _on_state(mounts: Sequence[Mount], layout: Layout) -> bool:
    return any(
        mount["type"] == "bind" and posixpath.normpath(mount.get("source", "")) == layout.state_dir
        for mount in mounts
    )


def over_state(
    services: Mapping[str, Mapping[str, Any]], name: str, layout: Layout
) -> Optional[tuple[str, Mount]]:
    """Where a service looks for state, and the mount that shows something else there; or None."""
    mounts = mounts_in(services, name)
    for path in _state_paths(mounts, services[name].get("paths") or {}, layout):
        mount, host = _leads_to(mounts, path, layout)
        # A directory of the state in its place is somebody's choice, and on the right disk.
        if mount is not None and not (host and is_below(host, layout.state_dir)):
            return path, mount
    return None


def sees_state_at(
    services: Mapping[str, Mapping[str, Any]], name: str, path: str, layout: Layout
) -> bool:
    """Whether a path in the containers of a service leads to the layout's state, through its links too."""
    _mount, host = _leads_to(mounts_in(services, name), path, layout)
    return host is not None and is_below(host, layout.state_dir)


def needs_of(mounts: Sequence[Mount], paths: Mapping[str, str], layout: Layout) -> dict[str, Need]:
    """Path in a container with these mounts -> what must show there, for all that is on a disk."""
    data, state = layout.mounts["data"], layout.state_dir
    needed: dict[str, Need] = {}
    for mount in mounts:
        if mount["type"] != "bind":
            continue
        source, target = (posixpath.normpath(mount[key]) for key in ("source", "target"))
        if is_below(source, state):
            needed[target] = Need("state", source)
        elif is_below(source, data):
            needed[target] = Need("data", source)
        if source == data and is_below(state, data):
            inside = posixpath.join(target, posixpath.relpath(state, data))
            if covering(mounts, inside) == mount:
                needed[inside] = Need("state", state)
    for path in _state_paths(mounts, paths, layout):
        if covering(mounts, path) is not None:
            needed[path] = Need("state", state)
    return needed


def needs(services: Mapping[str, Mapping[str, Any]], name: str, layout: Layout) -> dict[str, Need]:
    """The same for a service of the chain."""
    return needs_of(mounts_in(services, name), services[name].get("paths") or {}, layout)


def told_of(
    services: Mapping[str, Mapping[str, Any]], source: Layout, target: Layout
) -> dict[str, dict[str, Any]]:
    """The services with the environment that ``target`` gives to those that look where ``source`` says."""
    told = {}
    for name, service in services.items():
        paths = dict(service.get("paths") or {})
        if paths and posixpath.normpath(resolve_state_dir(paths)) == source.state_dir:
            paths.pop("STATE_DIR", None)
            paths.update({k: v for k, v in target.env().items() if k == "STATE_DIR"})
        told[name] = {**service, "paths": paths}
    return told


def remarks(services: Mapping[str, Mapping[str, Any]], layout: Layout) -> list[str]:
    """What an operator should know of services that hold data or are told of state, and see none."""
    said = []
    for name in sorted(services):
        mounts, paths = mounts_in(services, name), services[name].get("paths") or {}
        seen = needs_of(mounts, paths, layout)
        whole = has_whole_data(mounts, layout)
        if whole and not any(need.source == layout.state_dir for need in seen.values()):
            said.append(
                f"service '{name}' has the data disk at {', '.join(whole)}: in layout {layout.name} "
                "state is not in it"
            )
        elif "STATE_DIR" in paths and covering(mounts, resolve_state_dir(paths)) is None:
            said.append(
                f"service '{name}' is told STATE_DIR={paths['STATE_DIR']} and mounts nothing there: what "
                "it writes there is lost with its container"
            )
    return said
