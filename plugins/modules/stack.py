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
    then compares the device of STATE_DIR as each container sees it with the state disk's.
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
    description: In check mode, what M(agnes.host.project) returned, which knows the project as it will be.
    type: list
    elements: str
    default: []
  resting:
    description: In check mode, services that a move before this would leave as they are, not running.
    type: list
    elements: str
    default: []
  proved:
    description: What M(agnes.host.project) returned. Nothing is started where Compose resolves another configuration.
    type: str
    default: ""
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
  description: Each running container with the paths in it that are proved to be on the state disk.
  returned: success, outside check mode
  type: dict
"""

from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.errors import (
    NoEngine,
    NotHealthy,
    Refusal,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.plan_facts import UP
from ansible_collections.agnes.host.plugins.module_utils.core.stack import (
    awake,
    left_alone,
    say_state,
    selected,
    unknown_profiles,
)
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system import record, stacks
from ansible_collections.agnes.host.plugins.module_utils.system.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.compose import Compose
from ansible_collections.agnes.host.plugins.module_utils.system.engine import observe_engine


def bring_up(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
    """Guard, start, wait, prove."""
    layout, services = LAYOUTS[params["layout"]], params["services"]
    engine = observe_engine()
    if engine["error"]:
        raise NoEngine(found=engine["error"])
    if not actions.check:
        stacks.check_mounts(params["mounted"])
    stack = stacks.Stack(engine["docker"], params["project_dir"])
    wanted = selected(services, params["profiles"])
    running = [name for name, c in stack.by_service().items() if c["status"] in UP]
    names = awake(wanted, running, record.read().get("resting") or ())
    names = [name for name in names if name not in params["resting"]]
    steps = stack.steps(services, names, params["recreates"] if actions.check else None)
    if steps and not params["start"]:
        name = sorted(steps)[0]
        raise NotHealthy(
            service=name,
            found=f"not as it must be ({steps[name]} is due)",
            seconds=0,
            project=params["project_dir"],
        )
    if steps and params["proved"] and not actions.check:
        Compose(engine["docker"], params["project_dir"]).check(params["proved"])
    if steps and not actions.check:
        stack.up(sorted(steps), params["timeout"])
    for name, step in sorted(steps.items()):
        before = "absent" if step == "create" else f"to {step}"
        actions.take(f"service {name}", before, "up")
    if actions.check:
        return {}
    found = stack.wait(services, names, params["timeout"])
    return {
        "services": {
            **unknown_profiles(services, params["profiles"]),
            **left_alone(services, wanted, found),
            **dict.fromkeys(wanted, "not running, as it was before the last move"),
            **{name: say_state(services[name], found[name]) for name in names},
        },
        "proved": stacks.prove_disks(list(found.values()), layout),
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
            "proved": {"type": "str", "default": ""},
            "start": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        found = bring_up(module.params, actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(**found))


if __name__ == "__main__":
    main()
