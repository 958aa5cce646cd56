# SPDX-License-Identifier: GPL-3.0-or-later
"""``agnes-auto-upgrade``: the images that are published, on the right disks, or back to those before.

One tick: disks, overlay, pull, compare, start what differs, wait, prove. What differs is found by
the ids of images and by Compose's own dry run, so a tick that finds nothing touches nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..core.compose.stack import selected
from ..core.compose.stack_errors import CaddySilent, NothingProved, NotUp
from ..core.compose.upgrade import (
    Sign,
    new_images,
    profiles_for,
    say_images,
    schema_is_as_before,
    stopped_by_hand,
)
from ..core.host.errors import NotHealthy, Refusal
from ..core.host.host_tool_errors import (
    ImageRejected,
    PullFailed,
    UpgradeGoneBack,
    UpgradeNoWayBack,
)
from ..core.host.host_tools import KEPT, PROJECT_DIR, wanted_disks
from ..core.layout.layouts import Layout
from ..parts import caddy, stack
from ..parts.project import ProjectManager
from ..system.compose import certificates, engine
from ..system.compose.compose import Compose
from ..system.compose.images import named
from ..system.compose.stacks import Stack
from ..system.host import durable, record
from ..system.host.actions import Actions
from ..system.host.commands import Failed, last_line, run
from ..system.layout import trees
from ..system.move import ledger, moving
from . import install
from .guard import admit
from .turn import UPGRADE_LOCK, count, environment, layout_soon, turn

MEMORY = f"{ledger.FOLDER}/upgrade.json"
"""What is being tried, and which images did not come up."""
PRE_MIGRATE = "system.duckdb.pre-migrate"
DISK_SECONDS, PULL_SECONDS, UP_SECONDS = 60.0, 1800.0, 600
COUNT_SECONDS = 3600.0
"""How often a tick counts how new state is: each costs two small files a flush."""
_ILL = (NotHealthy, NotUp, NothingProved, CaddySilent)
"""Failures that the image may have caused; a wrong disk is not one of them."""


class Project(ProjectManager):
    """The project with the secrets that it has: a tool never makes one, also where ``.env`` lacks it."""

    def secrets(self, current: dict[str, str], given: dict[str, str]) -> dict[str, str]:
        """None."""
        return {}


@dataclass
class Tick:
    """One upgrade of the project in ``directory``."""

    say: Callable[[str], None]
    directory: str
    again: bool
    env: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    docker: str = ""
    layout: Optional[Layout] = None
    stopped: list[str] = field(default_factory=list)
    """Services that somebody has stopped: they stay so."""

    def run(self) -> None:
        """All of it. Raises a Refusal, Failed or OSError."""
        self.env = environment(self.directory)
        layout = self.layout = layout_soon(self.env, self.directory, DISK_SECONDS)
        admit(self.say, self.directory)
        count(self.say, layout.state_dir, COUNT_SECONDS)
        self.docker = engine.client()
        self.memory = ledger.read(MEMORY) or {}
        if self.again and self.memory.get("rejected"):
            self.remember(rejected={})
        actions = Actions(check=False)
        published = self.project(layout, actions)
        compose = Compose(self.docker, self.directory)
        services, present = published["services"], Stack(self.docker, self.directory).by_service()
        profiles = self.profiles(layout, services, present)
        tried = (self.memory.get("trying") or {}).get("images") or {}
        self.stopped = stopped_by_hand(services, present, tried)
        names = [name for name in selected(services, profiles) if name not in self.stopped]
        not_pulled = self.pull(compose, names)
        there = named(self.docker, {services[name]["image"] for name in names})
        ids = {name: each["id"] for name, each in there.items()}
        images = new_images(services, names, present, ids)
        rejected = self.keep_from(images)
        images = {name: pair for name, pair in images.items() if name not in rejected}
        self.start(layout, profiles, images, actions)
        for item in actions.items:
            self.say(f"{item['what']}: {item['before']} -> {item['after']}")
        if self.stopped:
            self.say(f"left stopped, as somebody has stopped them: {', '.join(self.stopped)}")
        if images:
            if not rejected:
                # What was in vain before it is past.
                self.remember(rejected={})
            self.say(f"upgraded {say_images(images)}")
        elif not actions.items:
            self.say(
                "the stack runs the images that are published, as configured: nothing was done"
            )
        if rejected:
            known = self.memory.get("rejected") or {}
            reason = next(iter(known.get(new) for _old, new in rejected.values()), "")
            raise ImageRejected(found=reason, images=say_images(rejected))
        if not_pulled:
            raise PullFailed(found=not_pulled)

    def project(self, layout: Layout, actions: Actions) -> dict[str, Any]:
        """Prove the project in a layout, and publish what that needs: overlay and keys of ``.env``."""
        params = {
            "layout": layout.name, "moves_to": "", "project_dir": self.directory, "image": "",
            "artifacts_dir": "", "profiles": [], "env": {}, "secrets": {}, "prove_only": False,
        }  # fmt: skip
        published = Project(params, actions).run()
        for note in published["notes"]:
            self.say(note)
        return published

    def profiles(
        self, layout: Layout, services: Mapping[str, Any], present: Mapping[str, Any]
    ) -> list[str]:
        """See profiles_for."""
        own_issue = bool(self.env.get("CADDY_TLS"))
        return profiles_for(services, present, self._has_pair(layout), own_issue)

    def _has_pair(self, layout: Layout) -> bool:
        """Whether Caddy has what it needs of files."""
        info = durable.read_stat(os.path.join(self.directory, "Caddyfile"))
        return (
            bool(info and info.st_size)
            and certificates.placed(layout.state_dir)["found"] == "found"
        )

    def remember(self, **values: Any) -> None:
        """Write what the next tick must know."""
        self.memory = {**self.memory, **values}
        ledger.write(MEMORY, self.memory)

    def pull(self, compose: Compose, names: list[str]) -> str:
        """Fetch the images of services; why that failed, for people. What is on the host counts then."""
        done = compose.call("pull", "--quiet", *names, codes=(), seconds=PULL_SECONDS)
        return last_line(done.err) if done.code else ""

    def name(self, image: str, image_id: str) -> None:
        """Let an image's name mean another id again."""
        run([self.docker, "tag", image_id, image])

    def keep_from(self, images: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Those of the new images that did not come up before; their names mean the running ones again."""
        known = self.memory.get("rejected") or {}
        rejected = {name: (old, new) for name, (old, new) in images.items() if new in known}
        for name, (old, _new) in rejected.items():
            self.name(name, old)
        return rejected

    def sign(self, layout: Layout) -> Sign:
        """See Sign."""
        try:
            with trees.opened(layout.state_dir) as directory:
                info = os.stat(PRE_MIGRATE, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return []
        except OSError:
            return None
        return [info.st_ino, info.st_size, info.st_mtime_ns]

    def start(
        self, layout: Layout, profiles: list[str], images: dict[str, tuple[str, str]], actions: Actions
    ) -> None:  # fmt: skip
        """Start what differs; with new images there is a way back. Raises a Refusal."""
        trying = self.memory.get("trying") or {}
        if images:
            # Before the first container is made anew: a tick that is killed then has its way back, too.
            before = {**trying.get("images", {}), **{n: list(pair) for n, pair in images.items()}}
            sign = trying["sign"] if trying else self.sign(layout)
            trying = {"images": before, "sign": sign}
            self.remember(trying=trying)
        try:
            self.bring_up(layout, profiles, actions)
        except _ILL as error:
            if not trying:
                raise
            self.go_back(layout, profiles, trying, error)
        if trying:
            self.remember(trying={})

    def bring_up(self, layout: Layout, profiles: list[str], actions: Actions) -> None:
        """Start, wait, prove; then Caddy."""
        mounted = list(wanted_disks(layout, record.load()))
        stack.run(
            {
                "layout": layout.name, "mounted": mounted, "services": {}, "profiles": profiles,
                "project_dir": self.directory, "recreates": [], "left_stopped": self.stopped, "moves": False,
                "starts": [], "proved": "", "start": True, "timeout": UP_SECONDS,
            },
            actions,
        )  # fmt: skip
        caddy.run(
            {
                "layout": layout.name, "project_dir": self.directory, "announced": [],
                "certificate": "", "moves": False,
            },
            actions,
        )  # fmt: skip

    def go_back(
        self, layout: Layout, profiles: list[str], trying: dict[str, Any], error: Refusal
    ) -> None:
        """Start the images before; always raises a Refusal."""
        images = {name: (old, new) for name, (old, new) in trying["images"].items()}
        said = say_images(images)
        backend = moving.backend(layout.state_dir)
        if not schema_is_as_before(backend, trying["sign"], self.sign(layout)):
            # What now runs is what the database is for. It is no longer a try.
            self.remember(trying={})
            why = "the new one has changed the database's schema, or that is not known"
            raise UpgradeNoWayBack(found=error, why=why, images=said) from error
        self.say(f"the new image does not come up: {error}")
        rejected = {new: str(error) for _old, new in images.values()}
        self.remember(rejected={**(self.memory.get("rejected") or {}), **rejected})
        try:
            for name, (old, _new) in images.items():
                self.name(name, old)
            self.bring_up(layout, profiles, Actions(check=False))
        except (Refusal, Failed) as second:
            why = f"that failed ({second})"
            raise UpgradeNoWayBack(found=error, why=why, images=said) from second
        self.remember(trying={})
        raise UpgradeGoneBack(found=error, images=said) from error


def bring_to(say: Callable[[str], None], directory: str, layout: Layout, actions: Actions) -> None:
    """Publish the project in a layout, whatever ``.env`` names, and recreate what that changes."""
    admit(say, directory)
    tick = Tick(say, directory, again=False)
    services = tick.project(layout, actions)["services"]
    tick.env, tick.docker = environment(directory), engine.client()
    present = Stack(tick.docker, directory).by_service()
    tick.stopped = stopped_by_hand(services, present, ())
    tick.bring_up(layout, tick.profiles(layout, services, present), actions)


def upgrade(
    say: Callable[[str], None],
    again: bool = False,
    project_dir: str = PROJECT_DIR,
    lock: str = UPGRADE_LOCK,
) -> None:
    """One tick. again: also images that did not come up before. Raises NotNow, a Refusal, Failed or OSError."""
    with turn(0.0, lock):
        if KEPT in record.load():
            put_back = Actions(check=False)
            install.place(put_back)
            for item in put_back.items:
                say(f"{item['what']} {item['before']}: put back, of agnes-host")
        Tick(say, project_dir, again).run()
