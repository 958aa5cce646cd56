# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that containers see this host's disks: by device, as their own processes see it.

What must be seen is what the published chain says (core/compose/sight.py), not what an engine happens
to list; each container of each service is looked at, and what could not be proved is named.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ...core.compose.sight import Need, needs, needs_of
from ...core.compose.stack import Containers, has_ended_well
from ...core.compose.stack_errors import NothingProved, StaleHolds
from ...core.disks.shadow import is_harmless
from ...core.host.errors import WrongDiskInContainer
from ...core.layout.layouts import Layout, is_below
from ...core.move.move_errors import CanNotLook
from ..disks.devices import maj_min_of
from ..layout import trees
from ..move import moving
from . import inside

_SHOWN = 5


@dataclass
class Proof:
    """What was proved, and what could not be."""

    proved: dict[str, list[str]] = field(default_factory=dict)
    """Container -> the paths in it that are on their disks."""
    unproved: dict[str, str] = field(default_factory=dict)
    """Container -> why nothing of it can be seen."""


NOT_MOUNTED = "none (not mounted)"
"""In place of the MAJ:MIN of a disk that is to come: nothing that shows is right."""


def disk_numbers(layout: Layout, to_mount: Collection[str] = ()) -> dict[str, str]:
    """The role of each disk -> MAJ:MIN of what stands at its mount point on the host.

    to_mount: mount points without a disk; what they have is NOT_MOUNTED.
    """
    paths = {"data": layout.mounts["data"], "state": layout.state_dir}
    return {
        role: NOT_MOUNTED if layout.mounts[role] in to_mount else maj_min_of(os.stat(path).st_dev)
        for role, path in paths.items()
    }


def needs_in(
    services: Mapping[str, Any], container: Mapping[str, Any], layout: Layout
) -> dict[str, Need]:
    """What a container must see: by the chain, and where that does not know it, by its own mounts."""
    name = container["service"]
    if name in services:
        return needs(services, name, layout)
    return needs_of(container["mounts"], container["paths"], layout)


def _wanted(need: Need, numbers: Mapping[str, str], layout: Layout) -> str:
    """MAJ:MIN that must show: that of the disk, or of what the host has at a path on the data disk."""
    if (
        numbers[need.role] != NOT_MOUNTED
        and need.role == "data"
        and need.source != layout.mounts["data"]
    ):
        try:
            return maj_min_of(os.stat(need.source).st_dev)
        except OSError:
            pass
    return numbers[need.role]


def _seen(container: Mapping[str, Any], path: str) -> tuple[str, Optional[os.stat_result]]:
    """What shows at a path in a container: MAJ:MIN, or why not."""
    try:
        status = inside.look(container["pid"], path)
    except OSError as error:
        return f"none ({error.strerror})", None
    return maj_min_of(status.st_dev), status


def _wrong(
    services: Mapping[str, Any], container: Mapping[str, Any], layout: Layout,
    numbers: Mapping[str, str],
) -> dict[str, tuple[Need, str, Optional[os.stat_result]]]:  # fmt: skip
    """The paths of a running container that show something else than they must."""
    at_fault = {}
    for path, need in sorted(needs_in(services, container, layout).items()):
        seen, info = _seen(container, path)
        if seen != _wanted(need, numbers, layout):
            at_fault[path] = (need, seen, info)
    return at_fault


def prove(
    services: Mapping[str, Any], names: Collection[str], present: Containers, layout: Layout,
    project_dir: str,
) -> Proof:  # fmt: skip
    """Look at every container of every service. Raises WrongDiskInContainer, NothingProved.

    services: the published chain's, cut; names: those of them that are to run; present: all containers.
    Each refusal names everything that was found.
    """
    numbers, proof = disk_numbers(layout), Proof()
    wrong, blind = [], []
    for service in sorted({*present, *names}):
        there = present.get(service, [])
        looked = False
        for container in there:
            wanted = needs_in(services, container, layout)
            if not wanted:
                continue
            name = str(container["name"])
            if container["status"] != "running":
                proof.unproved[name] = _why_not(services, container)
                continue
            bad = _wrong(services, container, layout, numbers)
            if bad and not inside.is_there(container["pid"]):
                proof.unproved[name] = "it ended while it was looked at"
                continue
            looked = True
            wrong += [
                f"'{name}' has '{path}' on device {seen} (the {need.role} disk is "
                f"{_wanted(need, numbers, layout)})"
                for path, (need, seen, _info) in bad.items()
            ]
            proof.proved[name] = sorted(wanted)
        if service in names and service in services and not looked:
            paths = sorted(needs(services, service, layout))
            ended = there and all(has_ended_well(services[service], each) for each in there)
            if paths and services[service].get("scale", 1) and not ended:
                states = ", ".join(f"{c['name']} is {c['status']}" for c in there)
                blind.append(f"'{service}' ({', '.join(paths)}): {states or 'no container'}")
    if wrong:
        raise WrongDiskInContainer(found=", ".join(wrong))
    if blind:
        raise NothingProved(found=", ".join(blind), project=project_dir)
    return proof


def _why_not(services: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    known = services.get(container["service"])
    if known and has_ended_well(known, container):
        return "it has ended, as it should"
    return f"it is {container['status']}"


def stale(
    services: Mapping[str, Any], present: Containers, layout: Layout, to_mount: Collection[str] = ()
) -> dict[str, list[str]]:
    """Mount point -> running containers that see what its mount shadows, and nothing else that is wrong.

    They run since before the disk was mounted. A container that sees a third thing is not among
    them: it may hold the disk that was there before, and is told of in the proof.

    to_mount: in a check run, mount points whose disk is yet to be mounted. A container that sees
    something else there may hold that very disk, since before it was unmounted.
    """
    try:
        numbers = disk_numbers(layout, to_mount)
    except OSError:
        return {}
    result: dict[str, list[str]] = {}
    for container in (each for item in present.values() for each in item):
        if container["status"] != "running":
            continue
        bad = _wrong(services, container, layout, numbers)
        points = set()
        for need, _seen_there, info in bad.values():
            point = _shadowing_mount(need.source, info, layout)
            if point is None and layout.mounts[need.role] in to_mount:
                continue
            if point is None:
                break
            points.add(point)
        else:
            for point in points - {""}:
                result.setdefault(point, []).append(str(container["name"]))
    return result


def _shadowing_mount(source: str, info: Optional[os.stat_result], layout: Layout) -> Optional[str]:
    """The mount point whose mount shadows what a container sees as ``source``.

    Empty where it sees nothing there at all, None where it sees something else.
    """
    if info is None:
        return ""
    for point in sorted(set(layout.mounts.values()), key=len, reverse=True):
        if not is_below(source, point):
            continue
        rest = os.path.relpath(source, point)
        try:
            with moving.parent_of(point) as parent:
                name = os.path.normpath(os.path.join(os.path.basename(point), rest))
                shadowed = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except (OSError, CanNotLook):
            continue
        if os.path.samestat(shadowed, info):
            return point
    return None


def check_shadowed(seen: Mapping[str, list[str]]) -> None:
    """Raise StaleHolds where stale containers may have left files that a mount shadows.

    seen: as ``stale`` gives it. What can't be looked at is not taken for empty.
    """
    for point, names in sorted(seen.items()):
        left = shadowed_files(point)
        if left:
            raise StaleHolds(containers=", ".join(sorted(names)), path=point, found=", ".join(left))


def _raise(error: OSError) -> None:
    raise error


def shadowed_files(point: str) -> list[str]:
    """A few of the files that a mount shadows, without leftovers of the product's scripts and directories."""
    files: list[str] = []
    try:
        with moving.parent_of(point) as parent:
            top = os.path.basename(point)
            for where, _directories, names, fd in os.fwalk(top, onerror=_raise, dir_fd=parent):
                for name in sorted(names):
                    info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    stub = name == "instance.yaml" and moving.has_stub(fd)
                    if not is_harmless(name, trees.kind_of(info), info.st_size, stub):
                        files.append(os.path.relpath(os.path.join(where, name), top))
                if len(files) >= _SHOWN:
                    break
    except FileNotFoundError:
        return []
    except (OSError, CanNotLook) as error:
        return [f"nobody knows: {error}"]
    return files[:_SHOWN]
