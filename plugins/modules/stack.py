#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Start the stack of an Agnes host and prove that every container sees the right disks
version_added: "0.1.0"
description:
  - Refuses to start anything unless the disks are mounted where the layout has them.
  - Creates, recreates or starts only the services that need it, waits until each is healthy, and
    then looks into each container of each service. Every path that must be on the data or the state
    disk is compared with that disk by device number, as the container's own processes see it.
  - Containers that were started before their disk was mounted are recreated, unless there are files beneath the mount.
  - A one-shot service that has ended well is not run again.
  - It is our own and not C(community.docker.docker_compose_v2), which fails when it waits for a
    one-shot service and can't tell in check mode what it will recreate on an untouched host.
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  layout:
    description: Name of the layout, as P(agnes.host.plan#filter) chose it.
    type: str
    required: true
  mounted:
    description: The mount points on which a disk must stand, the part C(mounted) of the plan.
    type: list
    elements: str
    required: true
  services:
    description: The services, as M(agnes.host.project) returned them.
    type: dict
    required: true
  profiles:
    description: Compose profiles that shall run.
    type: list
    elements: str
    default: []
  project_dir:
    description: The compose project's directory.
    type: str
    default: /opt/agnes
  recreates:
    description: In check mode, what M(agnes.host.project) returned, which knows the project as it will be; containers, or services after a move.
    type: list
    elements: str
    default: []
  resting:
    description: In check mode, services that a move before this would leave as they are, not running.
    type: list
    elements: str
    default: []
  proved:
    description: The hash that M(agnes.host.project) returned. Nothing is started if Compose resolves another configuration. Empty to skip this check.
    type: str
    default: ""
  moves:
    description: In check mode, whether a move comes first, which removes all containers and creates those of O(starts) again.
    type: bool
    default: false
  starts:
    description: In check mode, the services that such a move starts.
    type: list
    elements: str
    default: []
  start:
    description: Whether to start what is not running. Without it, such a service is an error.
    type: bool
    default: true
  timeout:
    description: Seconds that starting, and then becoming healthy, may each take. The product's first start can take 180.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Start the stack
  agnes.host.stack:
    layout: "{{ plan.layout }}"
    mounted: "{{ plan.mounted }}"
    services: "{{ project.services }}"
    profiles: [full, tls]
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
services:
  description: Each service with its state for people.
  returned: success, outside check mode
  type: dict
proved:
  description: Each running container with the paths in it that are proved to be on their disks.
  returned: success, outside check mode
  type: dict
unproved:
  description: Containers that must see a disk but could not be checked, with the reason.
  returned: success, outside check mode
  type: dict
"""

import os
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.errors import (
    NotHealthy,
    Refusal,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.stack import (
    awake,
    left_alone,
    needed_by,
    say_state,
    selected,
    steps_after_move,
    unknown_profiles,
    unmounted,
)
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system import proof, record, stacks
from ansible_collections.agnes.host.plugins.module_utils.system.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.compose import check_proved
from ansible_collections.agnes.host.plugins.module_utils.system.engine import client


class Bringer:
    """Guard, start, wait, prove."""

    def __init__(self, params: dict[str, Any], actions: Actions) -> None:
        self.params, self.actions = params, actions
        self.layout = LAYOUTS[params["layout"]]
        if not actions.check:
            stacks.check_mounts(params["mounted"])
        self.stack = stacks.Stack(client(), params["project_dir"])
        # What is published counts; in check mode the project as it will be, which only the run knows.
        self.services = params["services"] if actions.check else self._published()
        self.found = self.stack.by_service()

    def _published(self) -> dict[str, Any]:
        """What Compose resolves. Raises NotAsProved where it is not what was proved."""
        found = self.stack.compose.config()
        if self.params["proved"]:
            check_proved(self.params["proved"], found, self.params["project_dir"])
        services: dict[str, Any] = found["services"]
        return services

    def run(self) -> dict[str, Any]:
        """All of it; returns the states of the services, and the proof."""
        wanted = selected(self.services, self.params["profiles"])
        names = awake(wanted, self.found, self.resting())
        names = [name for name in names if name not in self.params["resting"]]
        # A move makes containers anew, and decides itself what lies beneath a mount.
        moves = self.actions.check and self.params["moves"]
        stale = set() if moves else self.stale()
        steps = (
            steps_after_move(self.services, names, self.params["starts"], self.params["recreates"])
            if moves
            else self.stack.steps(self.services, self.found, names, {*stale, *self.recreates()})
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
            if any(each["name"] in stale for each in self.found.get(name, ())):
                before += ", it was started before its disk was mounted"
            self.actions.take(f"service {name}", before, "up")
        if self.actions.check:
            return {}
        return self.result(wanted, names)

    def resting(self) -> list[str]:
        """Services that stay as they are, not running; one that somebody has started is none any more."""
        known = record.read()
        before = list(known.get("resting") or ())
        left = [name for name in before if name not in awake([name], self.found, [name])]
        if left != before and not self.actions.check:
            record.save({**record.load(), "resting": left})
        return left

    def stale(self) -> set[str]:
        """Containers that run since before their disk was mounted, once nothing lies beneath it."""
        if self.actions.check:
            missing = [path for path in self.params["mounted"] if not os.path.ismount(path)]
            if missing:
                return unmounted(self.found, missing)
        seen = proof.stale(self.services, self.found, self.layout)
        proof.check_beneath(seen)
        return {name for names in seen.values() for name in names}

    def recreates(self) -> set[str]:
        """Containers that Compose would make anew; in check mode those known from the project first."""
        announced = self.params["recreates"] if self.actions.check else ()
        if announced or not self.found:
            return set(announced)
        return self.stack.compose.recreated(self.services)

    def start(self, steps: dict[str, str], names: list[str], stale: set[str]) -> None:
        """Bring up what needs it: first anew what has the wrong disk, which Compose can't know."""
        seconds = self.params["timeout"]
        again = [
            name
            for name in sorted(steps)
            if any(each["name"] in stale for each in self.found.get(name, ()))
        ]
        if again:
            self.stack.up(self.services, again, seconds, ("--no-deps", "--force-recreate"))
        rest = sorted(set(steps) - set(again))
        if rest:
            # Whoever is to stay as it is must not come up because another service depends on it.
            kept = needed_by(self.services, rest) - set(names)
            self.stack.up(self.services, rest, seconds, ("--no-deps",) if kept else ())

    def result(self, wanted: list[str], names: list[str]) -> dict[str, Any]:
        """Wait, prove, and say."""
        services = self.services
        found = self.stack.wait(services, names, self.params["timeout"])
        proved = proof.prove(services, names, found, self.layout, self.params["project_dir"])
        return {
            "services": {
                **unknown_profiles(services, self.params["profiles"]),
                **left_alone(services, wanted, found, self.layout),
                **dict.fromkeys(wanted, "not running, and left so: it was stopped before"),
                **{name: say_state(services[name], found.get(name, [])) for name in names},
            },
            "proved": proved.proved,
            "unproved": proved.unproved,
        }


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "layout": {"type": "str", "required": True},
            "mounted": {"type": "list", "elements": "str", "required": True},
            "services": {"type": "dict", "required": True},
            "profiles": {"type": "list", "elements": "str", "default": []},
            "project_dir": {"type": "str", "default": "/opt/agnes"},
            "recreates": {"type": "list", "elements": "str", "default": []},
            "resting": {"type": "list", "elements": "str", "default": []},
            "moves": {"type": "bool", "default": False},
            "starts": {"type": "list", "elements": "str", "default": []},
            "proved": {"type": "str", "default": ""},
            "start": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        found = Bringer(module.params, actions).run()
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(**found))


if __name__ == "__main__":
    main()
