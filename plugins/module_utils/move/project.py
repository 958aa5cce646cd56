# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose project during a move: what runs, stopping it, starting exactly that again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.compose.stack import UP, check_one_offs, check_strays, has_crashed
from ..core.layout.layouts import Layout
from ..core.move.move_errors import StrayContainers
from ..core.move.move_steps import GRACE_SECONDS
from ..system.compose import proof
from ..system.compose.engine import ONE_OFF_LABEL, PROJECT_LABEL, SERVICE_LABEL, containers
from ..system.compose.stacks import Stack
from ..system.host.commands import run

_SHAPE = "\t".join(
    (
        "{{.Names}}", "{{.State}}",
        f'{{{{.Label "{SERVICE_LABEL}"}}}}',
        f'{{{{.Label "{ONE_OFF_LABEL}"}}}}',
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
        self.stack = Stack(docker, directory)
        self.compose = self.stack.compose
        self.name = self.compose.name

    def listing(self) -> list[Container]:
        """All its containers, by one quick call."""
        label = f"label={PROJECT_LABEL}={self.name}"
        out = run([self.docker, "ps", "--all", "--filter", label, "--format", _SHAPE]).out
        listed = []
        for line in out.splitlines():
            name, state, service, one_off, needs = (*line.split("\t"), "", "", "")[:5]
            names = frozenset(need.split(":")[0] for need in needs.split(",") if need)
            listed.append(Container(name, state, service, one_off == "True", names))
        return listed

    def running(self) -> set[str]:
        """The services that have a container that is up."""
        return {item.service for item in self.listing() if item.runs and not item.one_off}

    def unstarted(self) -> set[str]:
        """The services whose containers are made and have never run: a start was cut short."""
        return {item.service for item in self.listing() if item.state == "created"}

    def crashed(self) -> set[str]:
        """The services of which a container has ended by itself, and not well: nobody has stopped it."""
        return {item["service"] for item in containers(self.docker, self.name) if has_crashed(item)}

    def down(self) -> None:
        """Stop and remove all containers, so that no restart policy can bring one back.

        Compose leaves one-off containers where they are, and no policy starts them: those that hold
        what moves are refused before, and what a running one has open is looked for after.
        """
        self.compose.down(GRACE_SECONDS, GRACE_SECONDS * 4 + 120)
        left = [item.name for item in self.listing() if not item.one_off]
        if left:
            raise StrayContainers(found=", ".join(left))

    def up(
        self, services: Collection[str], alone: bool, seconds: float, scale: Mapping[str, int]
    ) -> None:
        """Start services. ``alone``: without those that they depend on, which were not running.

        scale: how many containers a service had, where it had several.
        """
        if not services:
            return
        options = ["--no-deps"] if alone else []
        options += [f"--scale={name}={scale[name]}" for name in sorted(scale) if name in services]
        self.compose.up(sorted(services), seconds, options)

    def is_up(self, services: Collection[str]) -> bool:
        """Whether each service has containers, and all of them run and are healthy where that is known."""
        present = self.stack.by_service()
        return all(
            present.get(name)
            and all(
                c["status"] == "running" and c["health"] in ("", "healthy") for c in present[name]
            )
            for name in services
        )

    def wait(self, services: Collection[str], seconds: float, layout: Layout) -> None:
        """Wait until each service is as it must be, then prove its disks; raises a Refusal."""
        chain = self.compose.config()["services"]
        names = sorted(name for name in services if name in chain)
        present = self.stack.wait(chain, names, seconds, _POLL_SECONDS)
        proof.prove(chain, names, present, layout, self.directory)

    def check_idle(self, services: Mapping[str, Any], layout: Layout) -> None:
        """Raise OneOffHolds or StrayService for what the stop would leave, and that holds what would move.

        services: those of the chain.
        """
        present = containers(self.docker, self.name)
        check_one_offs(present, layout)
        check_strays(services, present, layout)
