#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
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
  - Containers that were started before their disk was mounted are recreated, unless the mount shadows files.
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
  left_stopped:
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
  guard:
    description:
      - What is held back while a disk of the host is away; empty for what the host has. One that holds back less than the
        one that is there takes its place last.
    type: str
    choices: ["", "engine", "stack", "off"]
    default: ""
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
  returned: success, in check mode only if nothing is to be started or waited for
  type: dict
proved:
  description: Each running container with the paths in it that are proved to be on their disks.
  returned: success, in check mode only if nothing is to be started or waited for
  type: dict
unproved:
  description: Containers that must see a disk but could not be checked, with the reason.
  returned: success, in check mode only if nothing is to be started or waited for
  type: dict
images:
  description:
    - Each image that a service of O(profiles) names, with what the name means on the host (C(id), empty where the host has
      no such image, and C(digests)), these C(services), and their containers that run, each with the id of its image (C(running)).
  returned: success
  type: dict
unknown:
  description: Why it is not known what a run would find, for example that a service is still starting.
  returned: success, in check mode
  type: str
"""

from contextlib import nullcontext

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.host_tools import turn
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts import stack
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed


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
            "left_stopped": {"type": "list", "elements": "str", "default": []},
            "moves": {"type": "bool", "default": False},
            "starts": {"type": "list", "elements": "str", "default": []},
            "proved": {"type": "str", "default": ""},
            "start": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 600},
            "guard": {"type": "str", "default": "", "choices": ["", "engine", "stack", "off"]},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        # The host's upgrade starts containers, too; whoever comes second waits.
        with nullcontext() if module.check_mode else turn.held(module.params["timeout"]):
            result = stack.run(module.params, actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(**result))


if __name__ == "__main__":
    main()
