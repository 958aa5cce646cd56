# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the stack and proving that every container sees the right disks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Optional

from ..core.errors import NotHealthy, NotMounted, WrongDiskInContainer
from ..core.layouts import Layout, is_below, resolve_state_dir
from ..core.stack import step_for, trouble_with
from .commands import Failed, Hung
from .compose import Compose
from .devices import maj_min_of
from .engine import containers

_POLL_SECONDS = 1.0


Containers = dict[str, dict[str, Any]]
"""Service -> its container."""


def healthy(
    look: Callable[[], Containers],
    trouble: Callable[[str, Optional[dict[str, Any]]], str],
    names: Collection[str],
    seconds: float,
    project_dir: str,
    poll_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Containers:
    """Look again and again until no service of ``names`` is in trouble; returns the containers.

    trouble: why a service is not as it must be, told its container; empty when it is.
    Raises NotHealthy after ``seconds``; it says how long it was really waited.
    """
    began = clock()
    while True:
        try:
            found = look()
            reasons = {name: trouble(name, found.get(name)) for name in names}
        except Hung:
            # A slow engine is no sign that a service is ill: it is asked again while there is time.
            found, reasons = {}, dict.fromkeys(names, "not known: the engine does not answer")
        waiting = {name: why for name, why in reasons.items() if why}
        if not waiting:
            return found
        waited = clock() - began
        if waited > seconds:
            name = sorted(waiting)[0]
            raise NotHealthy(
                service=name, found=waiting[name], seconds=int(waited), project=project_dir
            )
        time.sleep(poll_seconds)


class Stack:
    """The compose project in ``project_dir``; COMPOSE_FILE comes from its .env."""

    def __init__(self, docker: str, project_dir: str) -> None:
        self.docker = docker
        self.project_dir = project_dir
        self.compose = Compose(docker, project_dir)

    def by_service(self) -> dict[str, dict[str, Any]]:
        """Service -> its container."""
        return {item["service"]: item for item in containers(self.docker, self.compose.name)}

    def steps(
        self, services: Mapping[str, Any], names: Sequence[str], announced: Optional[Sequence[str]]
    ) -> dict[str, str]:
        """Service -> create, recreate or start, for those of ``names`` that need it.

        announced: containers known to be recreated; None, or none known, to ask Compose.
        """
        found = self.by_service()
        recreate = set(announced or (self.compose.recreated(services) if found else ()))
        steps = {name: step_for(services[name], found.get(name), recreate) for name in names}
        return {name: step for name, step in steps.items() if step}

    def up(self, names: Sequence[str], seconds: float) -> None:
        """Bring services up; those they depend on come up too."""
        began = time.monotonic()
        try:
            self.compose.up(names, seconds)
        except Failed as error:
            raise NotHealthy(
                service=" ".join(names),
                found=f"not up ({error})",
                seconds=int(time.monotonic() - began),
                project=self.project_dir,
            ) from error

    def wait(
        self,
        services: Mapping[str, Any],
        names: Sequence[str],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> dict[str, dict[str, Any]]:
        """Wait until every service is as it must be; returns the containers. Raises NotHealthy."""
        return healthy(
            self.by_service, lambda name, item: trouble_with(services[name], item), names,
            seconds, self.project_dir, _POLL_SECONDS, clock,
        )  # fmt: skip


def check_mounts(mounted: Sequence[str]) -> None:
    """Raise NotMounted unless something is mounted at each of the paths: no start without it."""
    for path in mounted:
        if not os.path.ismount(path):
            raise NotMounted(mount_point=path, found="a plain directory or nothing")


def disk_numbers(layout: Layout) -> dict[str, str]:
    """The role of each disk -> MAJ:MIN of what stands at its mount point on the host."""
    paths = {"data": layout.mounts["data"], "state": layout.state_dir}
    return {role: maj_min_of(os.stat(path).st_dev) for role, path in paths.items()}


def _paths_in(container: Mapping[str, Any], layout: Layout) -> dict[str, str]:
    """Paths in a container that must be on a disk -> the disk's role."""
    roles: dict[str, str] = {}
    for mount in container["mounts"]:
        source, target = mount["source"], mount["target"]
        if mount["type"] == "bind" and is_below(source, layout.state_dir):
            roles[target] = "state"
        elif mount["type"] == "bind" and source == layout.mounts["data"]:
            roles[target] = "data"
    if roles and container["paths"]:
        roles[resolve_state_dir(container["paths"])] = "state"
    return roles


def prove_disks(found: Sequence[Mapping[str, Any]], layout: Layout) -> dict[str, list[str]]:
    """Container -> the paths in it proved to be on the state disk, by st_dev seen from inside.

    Raises WrongDiskInContainer for the first path that is on another device.
    """
    numbers = disk_numbers(layout)
    proved: dict[str, list[str]] = {}
    for container in found:
        if container["status"] != "running":
            continue
        for path, role in sorted(_paths_in(container, layout).items()):
            inside = f"/proc/{container['pid']}/root{path}"
            try:
                seen = maj_min_of(os.stat(inside).st_dev)
            except OSError as error:
                seen = f"none ({error.strerror})"
            if seen != numbers[role]:
                raise WrongDiskInContainer(
                    container=container["name"],
                    path=path,
                    found=seen,
                    disk=role,
                    wanted=numbers[role],
                )
            if role == "state":
                proved.setdefault(str(container["name"]), []).append(path)
    return proved
