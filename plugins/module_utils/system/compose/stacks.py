# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting the stack, and waiting until it is up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...core.compose.sight import mounts_in
from ...core.compose.stack import (
    Containers,
    by_service,
    is_hopeless,
    is_looping,
    step_for,
    trouble_with,
)
from ...core.compose.stack_errors import NotUp
from ...core.host.errors import NotHealthy, NotMounted
from ...core.layout import dotenv
from ...core.layout.layouts import CERTIFICATES
from ..host import durable
from ..host.commands import Failed, Hung, run
from .compose import Compose
from .engine import containers

_POLL_SECONDS = 1.0
_LOG_LINES = 3
_LINE_LENGTH = 200


class Stack:
    """The stack of the project in ``project_dir``: its services and their containers."""

    def __init__(self, docker: str, project_dir: str) -> None:
        self.docker = docker
        self.project_dir = project_dir
        self.compose = Compose(docker, project_dir)

    def by_service(self) -> Containers:
        """Service -> its containers, without one-off containers."""
        return by_service(containers(self.docker, self.compose.name))

    @staticmethod
    def steps(
        services: Mapping[str, Any], present: Containers, names: Sequence[str],
        recreate: Collection[str],
    ) -> dict[str, str]:  # fmt: skip
        """Service -> create, recreate or start, for those of ``names`` that need it.

        present: the containers now; recreate: names of those that are to be made anew.
        """
        steps = {name: step_for(services[name], present.get(name, []), recreate) for name in names}
        return {name: step for name, step in steps.items() if step}

    def up(
        self,
        services: Mapping[str, Any],
        names: Collection[str],
        seconds: float,
        options: Sequence[str] = (),
    ) -> None:
        """Bring services up; those they depend on come up too, unless ``options`` say otherwise.

        A service that somebody has scaled up with ``--scale`` keeps as many containers as it has.
        """
        began, present = time.monotonic(), self.by_service()
        scale = [
            f"--scale={name}={len(present[name])}"
            for name in sorted(names)
            if len(present.get(name, ())) > services.get(name, {}).get("scale", 1)
        ]
        try:
            self.compose.up(sorted(names), seconds, [*options, *scale])
        except Failed as error:
            # Compose says which dependency failed, and not why: its log does.
            now: Containers = {}
            with suppress(Failed):
                now = self.by_service()
            looping = [name for name in sorted(now) if any(is_looping(each) for each in now[name])]
            if looping:
                raise self.not_up(services, {name: now[name] for name in looping}) from error
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
        poll_seconds: float = _POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> Containers:
        """Wait until every service is as it must be; returns the containers of all services.

        Raises NotUp for what starts again and again, NotHealthy for what else is in trouble:
        after ``seconds``, or when waiting longer is of no use.
        """
        began = clock()
        first: dict[str, int] = {}
        while True:
            try:
                present = self.by_service()
            except Hung:
                # A slow engine is no sign that a service is ill: it is asked again while there is time.
                waited = clock() - began
                if waited > seconds:
                    raise NotHealthy(
                        service=" ".join(names),
                        found="not known: the engine does not answer",
                        seconds=int(waited),
                        project=self.project_dir,
                    ) from None
                time.sleep(poll_seconds)
                continue
            every = [each for item in present.values() for each in item]
            grown = {
                each["name"]
                for each in every
                if each["restarts"] > first.setdefault(each["name"], each["restarts"])
            }
            waits = waiting(services, names, present, grown)
            if not waits:
                return present
            hopeless = any(
                is_hopeless(services[name], each, grown)
                for name in waits
                for each in present.get(name, ())
            )
            now = clock()
            if hopeless or now > began + seconds:
                self._give_up(services, present, waits, grown, now - began)
            time.sleep(poll_seconds)

    def _give_up(
        self, services: Mapping[str, Any], present: Containers, waiting: Mapping[str, str],
        grown: Collection[str], seconds: float,
    ) -> None:  # fmt: skip
        """Raise for what is in trouble; what loops is the cause of what waits for it."""
        looping = {
            name: present[name]
            for name in waiting
            if any(is_looping(each, grown) for each in present.get(name, ()))
        }
        if looping:
            raise self.not_up(services, looping, grown)
        name = next(iter(waiting))
        there = present.get(name)
        raise NotHealthy(
            service=name, found=waiting[name], seconds=int(seconds), project=self.project_dir,
            log=self.log_of(there[0]["name"]) if there else "",
        )  # fmt: skip

    def not_up(
        self, services: Mapping[str, Any], looping: Containers, grown: Collection[str] = ()
    ) -> NotUp:
        """The failure that names what does not stay up, what it lacks, and how its log ends."""
        said = []
        for name, each in looping.items():
            service = services.get(name, {})
            bad = next(item for item in each if is_looping(item, grown))
            why = trouble_with({**service, "scale": 1}, [bad], grown)
            lacks = "".join(f"; {what}" for what in missing_files(services, name))
            said.append(f"{name} is {why}{lacks}; its log ends with: {self.log_of(bad['name'])}")
        return NotUp(found=" -- ".join(said), project=self.project_dir)

    def log_of(self, container: str) -> str:
        """The last lines of a container's log on one line, without values of ``.env``."""
        done = run([self.docker, "logs", "--tail", str(_LOG_LINES), container], codes=())
        text = dotenv.redacted(done.out + "\n" + done.err, self.compose.env_text())
        lines = [" ".join(line.split()) for line in text.splitlines()]
        shown = ["".join(c if c.isprintable() else "?" for c in line) for line in lines if line]
        return " | ".join(line[:_LINE_LENGTH] for line in shown[-_LOG_LINES:]) or "nothing"


def waiting(
    services: Mapping[str, Any], names: Collection[str], present: Containers,
    grown: Collection[str] = (),
) -> dict[str, str]:  # fmt: skip
    """Service -> what it is, for those of ``names`` that are not as they must be."""
    said = {
        name: trouble_with(services[name], present.get(name, []), grown) for name in sorted(names)
    }
    return {name: why for name, why in said.items() if why}


def missing_files(services: Mapping[str, Any], name: str) -> list[str]:
    """What a service lacks, as far as that is known: the certificate that it mounts."""
    if name not in services:
        return []
    sentences = []
    for mount in mounts_in(services, name):
        source = str(mount.get("source") or "")
        if mount["type"] != "bind" or os.path.basename(source) != CERTIFICATES:
            continue
        pem = os.path.join(source, "fullchain.pem")
        info = durable.read_stat(pem)
        if info is None or not info.st_size:
            sentences.append(f"there is no certificate in '{pem}'")
    return sentences


def check_mounts(mounted: Sequence[str]) -> None:
    """Raise NotMounted unless something is mounted at each of the paths: no start without it."""
    for path in mounted:
        if not os.path.ismount(path):
            raise NotMounted(mount_point=path, found="a plain directory or nothing")
