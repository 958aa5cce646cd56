# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose project during a move: what runs, stopping it, starting exactly that again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..core.move_errors import StrayContainers
from ..core.move_steps import GRACE_SECONDS
from ..core.plan_facts import UP
from ..system import stacks
from ..system.commands import run
from ..system.compose import Compose
from ..system.engine import PROJECT_LABEL, SERVICE_LABEL, containers

_SHAPE = "\t".join(
    (
        "{{.Names}}", "{{.State}}",
        f'{{{{.Label "{SERVICE_LABEL}"}}}}',
        '{{.Label "com.docker.compose.oneoff"}}',
        '{{.Label "com.docker.compose.depends_on"}}',
    )
)  # fmt: skip
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Container:
    """A container of the project, as a listing shows it."""

    name: str
    state: str
    service: str
    one_off: bool
    needs: frozenset[str]

    @property
    def runs(self) -> bool:
        """Whether it is up, or about to be."""
        return self.state in UP


class Project:
    """The compose project in ``directory``; COMPOSE_FILE comes from its .env."""

    def __init__(self, docker: str, directory: str) -> None:
        self.docker = docker
        self.directory = directory
        self.compose = Compose(docker, directory)
        self.name = self.compose.name

    def listing(self) -> list[Container]:
        """All its containers, by one quick call."""
        label = f"label={PROJECT_LABEL}={self.name}"
        out = run([self.docker, "ps", "--all", "--filter", label, "--format", _SHAPE]).out
        found = []
        for line in out.splitlines():
            name, state, service, one_off, needs = (*line.split("\t"), "", "", "")[:5]
            names = frozenset(need.split(":")[0] for need in needs.split(",") if need)
            found.append(Container(name, state, service, one_off == "True", names))
        return found

    def running(self) -> set[str]:
        """The services that have a container that is up."""
        return {item.service for item in self.listing() if item.runs and not item.one_off}

    def unstarted(self) -> set[str]:
        """The services whose containers are made and have never run: a start was cut short."""
        return {item.service for item in self.listing() if item.state == "created"}

    def down(self) -> None:
        """Stop and remove all containers, so that no restart policy can bring one back."""
        self.compose.down(GRACE_SECONDS, GRACE_SECONDS * 4 + 120)
        left = [item.name for item in self.listing()]
        if left:
            raise StrayContainers(found=", ".join(left))

    def up(self, services: Collection[str], alone: bool, seconds: float) -> None:
        """Start services. ``alone``: without those that they depend on, which were not running."""
        if not services:
            return
        options = ["--no-deps"] if alone else []
        self.compose.up(sorted(services), seconds, options)

    def wait(self, services: Collection[str], seconds: float) -> list[dict[str, Any]]:
        """Wait until each service is healthy, or has ended well; returns the containers."""
        found = stacks.healthy(
            self.by_service, lambda _name, item: _trouble(item), services, seconds,
            self.directory, _POLL_SECONDS,
        )  # fmt: skip
        return list(found.values())

    def by_service(self) -> dict[str, dict[str, Any]]:
        """Service -> its container, with its health."""
        return {item["service"]: item for item in containers(self.docker, self.name)}


def _trouble(container: Any) -> str:
    if container is None:
        return "absent"
    if container["status"] == "exited":
        code = container["exit_code"]
        return "" if code == 0 else f"ended with {code}"
    if container["status"] != "running":
        return str(container["status"])
    return "" if container["health"] in ("", "healthy") else f"running, {container['health']}"
