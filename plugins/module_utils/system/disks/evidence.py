# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence for who decides between two copies of state: see core/disks/which_copy.py. Read-only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...core.compose.project import APP
from ...core.disks.mounts import Mount
from ...core.disks.shadow import DIFFER, ONLY_MOUNTED, ONLY_SHADOWED, SAME
from ...core.disks.which_copy import Copy, Shadow, compared, counted
from ...core.host.errors import Refusal
from ...core.layout.layouts import resolve_state_dir
from ...core.move.move_status import Unmounted, no_leftovers
from ..compose import inside
from ..copy import duckdb_check
from ..host import listing
from ..host.commands import Failed
from ..host.processes import GONE, while_it_runs
from ..move import moving
from ..move.moving import Held
from . import mountinfo
from .holders import has_open
from .shadowed import Both, Tree, look


def _processes_of(pid: int) -> Iterator[int]:
    """The processes of the container whose first one is ``pid``: those in its mount namespace."""
    namespace = ""
    with while_it_runs():
        namespace = os.readlink(f"/proc/{pid}/ns/mnt")
    for name in os.listdir("/proc") if namespace else ():
        # One with more capabilities than ours is none of a container that we may look at.
        with suppress(PermissionError), while_it_runs():
            if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == namespace:
                yield int(name)


def _sees(container: Mapping[str, Any], tree: Tree) -> bool:
    """Whether the path of state leads to this copy in the container. Raises OSError: unknown is not no."""
    try:
        info = inside.look(container["pid"], resolve_state_dir(container["paths"]))
    except OSError as error:
        if error.errno in (*listing.ABSENT, *GONE):
            return False
        raise
    return (info.st_dev, info.st_ino) == (tree.device, tree.inode)


def _opens(container: Mapping[str, Any], held: Held) -> bool:
    """Whether a process of the container has files of it open. Raises OSError, likewise."""
    return any(has_open(pid, held) for pid in _processes_of(container["pid"]))


def _rows(
    docker: str, image: str, tree: Tree, opened: Sequence[str], place: tuple[str, str]
) -> tuple[dict[str, int], str]:
    """Rows of each table, or why they are not counted. place: directory, and path below it."""
    entry = tree.entries[duckdb_check.DATABASE.encode()]
    if opened:
        # It would answer that it is locked, and one that starts just now might find us in its way.
        return {}, f"in use by {', '.join(opened)}"
    if place[0] == "/":
        return {}, "it is on the root disk, which no container is shown"
    if not docker or not image:
        return {}, "there is no container of service app whose image could"
    try:
        owner = (entry.uid, entry.gid)
        glanced = duckdb_check.glance([docker], image, place[0], owner, place[1])
    except Failed as error:
        return {}, f"it can't be opened: {error}"
    return dict(glanced.rows), ""


def _newest(moments: Iterable[int]) -> str:
    newest = max(moments, default=None)
    return (
        "" if newest is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(newest // 10**9))
    )


class _Looking:
    """What is needed for both copies."""

    def __init__(self, docker: str, containers: Sequence[Mapping[str, Any]]) -> None:
        self.docker = docker
        self.running = [c for c in containers if c["status"] == "running" and c["pid"]]
        self.image = next((str(c["image"]) for c in containers if c["service"] == APP), "")

    def copy(self, tree: Tree, held: Held, place: tuple[str, str]) -> Copy:
        opened = sorted({c["service"] for c in self.running if _opens(c, held)})
        database = duckdb_check.DATABASE.encode() in tree.entries
        rows, uncounted = (
            _rows(self.docker, self.image, tree, opened, place) if database else ({}, "")
        )
        files = counted(tree.entries.values(), tree.leftovers)
        return {
            "device": _source(held.maj_min),
            "opened": opened,
            "seen": sorted({c["service"] for c in self.running if _sees(c, tree)}),
            "database": database,
            "rows": rows,
            "uncounted": uncounted,
            "role": str(tree.marker.get("role") or ""),
            "epoch": _number(tree.marker.get("epoch")),
            "bytes": sum(entry.size for entry in files),
            "files": len(files),
            "newest": _newest(entry.mtime_ns for entry in files),
        }


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _source(maj_min: str) -> str:
    return next((line.source for line in mountinfo.read() if line.maj_min == maj_min), maj_min)


def _shadow(path: str, both: Both, looking: _Looking) -> Shadow:
    above, name = os.path.split(path)
    number = f"{os.major(both.mounted.device)}:{os.minor(both.mounted.device)}"
    counts, names, stand = compared(both.paths)
    return {
        "trouble": "",
        "mounted": looking.copy(both.mounted, Held(number), (path, "")),
        "shadowed": looking.copy(both.shadowed, moving.held_directory(path), (above, name)),
        "counts": counts,
        "names": names,
        "conflicts": stand,
    }


def shadows(
    points: Iterable[Mount],
    unmounted: Mapping[str, Unmounted],
    docker: str,
    containers: Sequence[Mapping[str, Any]],
) -> dict[str, Shadow]:
    """The evidence for each mount that shadows more than leftovers. points, unmounted: as a move sees them."""
    by_path: dict[str, Shadow] = {}
    for path in sorted({point["target"] for point in points} & unmounted.keys()):
        if not no_leftovers(unmounted[path]):
            continue
        try:
            by_path[path] = _shadow(path, look(path), _Looking(docker, containers))
        except (OSError, Refusal, Failed) as error:
            by_path[path] = {
                "trouble": str(error), "mounted": None, "shadowed": None,
                "counts": dict.fromkeys((SAME, ONLY_SHADOWED, ONLY_MOUNTED, DIFFER), 0), "names": [],
                "conflicts": 1,
            }  # fmt: skip
    return by_path
