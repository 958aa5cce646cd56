# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack: checked, started where that is due, waited for, proved."""

from __future__ import annotations

import os
from typing import Any

from ..core.compose.images import Used, used
from ..core.compose.stack import (
    Containers,
    left_alone,
    needed_by,
    say_state,
    selected,
    steps_after_move,
    to_run,
    unknown_profiles,
)
from ..core.compose.stack_errors import NothingProved
from ..core.host.errors import NotHealthy
from ..core.layout.layouts import LAYOUTS
from ..host_tools import install
from ..system.compose import proof, stacks
from ..system.compose.compose import check_proved
from ..system.compose.engine import client
from ..system.compose.images import named
from ..system.host import permit, record
from ..system.host.actions import Actions


class Bringer:
    """Check, start, wait, prove."""

    def __init__(self, params: dict[str, Any], actions: Actions) -> None:
        self.params, self.actions = params, actions
        self.unknown = ""
        self.layout = LAYOUTS[params["layout"]]
        if not actions.check:
            stacks.check_mounts(params["mounted"])
        self.stack = stacks.Stack(client(), params["project_dir"])
        # What is published counts; in check mode the project as it will be, which only the run knows.
        self.services = params["services"] if actions.check else self._published()
        self.present = self.stack.by_service()

    def _published(self) -> dict[str, Any]:
        """What Compose resolves. Raises NotAsProved where it is not what was proved."""
        resolved = self.stack.compose.config()
        if self.params["proved"]:
            check_proved(self.params["proved"], resolved, self.params["project_dir"])
        services: dict[str, Any] = resolved["services"]
        return services

    def run(self) -> dict[str, Any]:
        """All of it; returns the states of the services, and the proof."""
        wanted = selected(self.services, self.params["profiles"])
        names = to_run(wanted, self.present, self.left_stopped())
        names = [name for name in names if name not in self.params["left_stopped"]]
        # A move makes containers anew, and decides itself about what a mount shadows.
        moves = self.actions.check and self.params["moves"]
        stale = set() if moves else self.stale()
        steps = (
            steps_after_move(self.services, names, self.params["starts"], self.params["recreates"])
            if moves
            else self.stack.steps(self.services, self.present, names, {*stale, *self.recreates()})
        )
        if steps and not self.params["start"]:
            name = sorted(steps)[0]
            raise NotHealthy(
                service=name,
                found=f"not as it must be ({steps[name]} is due)",
                seconds=0,
                project=self.params["project_dir"],
            )
        if steps and not self.actions.check:
            self.start(steps, names, stale)
        for name, step in sorted(steps.items()):
            before = "absent" if step == "create" else f"to {step}"
            if any(each["name"] in stale for each in self.present.get(name, ())):
                before += ", it was started before its disk was mounted"
            self.actions.take(f"service {name}", before, "up")
        if self.actions.check:
            known = {} if steps or moves else self.as_it_is(wanted, names)
            return {**known, "images": self.images(names, self.present)}
        return self.result(wanted, names)

    def images(self, names: list[str], present: Containers) -> dict[str, Used]:
        """The images of the services that shall run; in check mode those of the project as it will be."""
        there = named(self.stack.docker, [self.services[name]["image"] for name in names])
        return used(self.services, names, present, there)

    def left_stopped(self) -> list[str]:
        """Services that stay as they are, not running; one that somebody has started is none any more."""
        known = record.read()
        before = list(known.get("left_stopped") or ())
        left = [name for name in before if name not in to_run([name], self.present, [name])]
        if left != before and self.actions.check:
            self.unknown = "a service that was left stopped runs again, which is to be recorded"
        elif left != before:
            record.save({**record.load(), "left_stopped": left})
        return left

    def stale(self) -> set[str]:
        """Containers that run since before their disk was mounted, once its mount shadows nothing."""
        missing = [path for path in self.params["mounted"] if not os.path.ismount(path)]
        seen = proof.stale(self.services, self.present, self.layout, missing)
        proof.check_shadowed(seen)
        return {name for names in seen.values() for name in names}

    def recreates(self) -> set[str]:
        """Containers that Compose would make anew; in check mode those known from the project first."""
        announced = self.params["recreates"] if self.actions.check else ()
        if announced or not self.present:
            return set(announced)
        return self.stack.compose.recreated(self.services)

    def start(self, steps: dict[str, str], names: list[str], stale: set[str]) -> None:
        """Bring up what needs it: first anew what has the wrong disk, which Compose can't know."""
        seconds = self.params["timeout"]
        again = [
            name
            for name in sorted(steps)
            if any(each["name"] in stale for each in self.present.get(name, ()))
        ]
        if again:
            self.stack.up(self.services, again, seconds, ("--no-deps", "--force-recreate"))
        rest = sorted(set(steps) - set(again))
        if rest:
            # Whoever is to stay as it is must not come up because another service depends on it.
            kept = needed_by(self.services, rest) - set(names)
            self.stack.up(self.services, rest, seconds, ("--no-deps",) if kept else ())

    def as_it_is(self, wanted: list[str], names: list[str]) -> dict[str, Any]:
        """In check mode, where nothing is to be started: the proof at once, if there is nothing to wait for."""
        waits = stacks.waiting(self.services, names, self.present)
        if not waits and all(os.path.ismount(path) for path in self.params["mounted"]):
            try:
                return {**self.told(wanted, names, self.present), "unknown": self.unknown}
            except NothingProved as error:
                # One that was to end may have done so while it was looked at: the run waits, and looks again.
                return {"unknown": str(error)}
        service = next(iter(waits), "")
        return {
            "unknown": f"service '{service}' is {waits[service]}"
            if waits
            else "a disk is not mounted"
        }

    def result(self, wanted: list[str], names: list[str]) -> dict[str, Any]:
        """Wait, prove, and say."""
        present = self.stack.wait(self.services, names, self.params["timeout"])
        try:
            told = self.told(wanted, names, present)
        except NothingProved:
            # One that was to end may have done so while it was looked at.
            present = self.stack.wait(self.services, names, self.params["timeout"])
            told = self.told(wanted, names, present)
        return {**told, "images": self.images(names, present)}

    def told(self, wanted: list[str], names: list[str], present: Containers) -> dict[str, Any]:
        """Prove, and say."""
        services = self.services
        proved = proof.prove(services, names, present, self.layout, self.params["project_dir"])
        return {
            "services": {
                **unknown_profiles(services, self.params["profiles"]),
                **left_alone(services, wanted, present, self.layout),
                **dict.fromkeys(wanted, "not running, and left so: it was stopped before"),
                **{name: say_state(services[name], present.get(name, [])) for name in names},
            },
            "proved": proved.proved,
            "unproved": proved.unproved,
        }


def run(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
    """The whole part. params: options of M(agnes.host.stack)."""
    result = Bringer(params, actions).run()
    # Not before the containers are made for it: till then, the one that is there holds them back.
    install.loosen_guard(params.get("guard") or permit.guard_here(), actions)
    return result
