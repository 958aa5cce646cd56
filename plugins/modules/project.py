#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: project
short_description: Keep the compose project of an Agnes host, with the overlay derived and proved
version_added: "0.1.0"
description:
  - Puts together what the project directory shall hold - the product's files, C(.env) and the
    layout's overlay -, lets Compose resolve it in memory, proves that each service would mount
    exactly what the layout says, and only then publishes it. C(.env) comes last, in one rename.
  - An overlay that is on the host stays if it passes the proof, whoever wrote it. Else the product's
    own is used if it passes, else one is derived from the resolved configuration.
  - Compose reads the project at its own path, with C(.env) and a fixed environment. After the files
    are written, what it resolves must be what was proved.
  - Of the product's compose files it places those that the chain names. On a host where the
    product's own upgrade manages the files, they stay as they are.
  - In C(.env) only the keys of the layout, those of O(env) and O(secrets), and secrets that are
    missing are written; all other lines stay byte for byte.
  - A file that is replaced is kept in C(/var/lib/agnes-host/replaced), root's only.
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
  - agnes.host.project
attributes:
  check_mode:
    support: partial
    details: To read an image's files, a container is created and removed, never started; an image
      that the engine lacks is pulled.
  diff_mode:
    support: partial
    details: The keys of C(.env) are shown, values that may be secret are not.
  idempotent:
    support: full
options:
  layout:
    description: Name of the layout, as P(agnes.host.plan#filter) chose it.
    type: str
    required: true
  moves_to:
    description:
      - In check mode or with O(prove_only), the layout to which a move before this would lead. O(layout)
        is then the one that the host has now, and told is what would be left to do after the move.
    type: str
    default: ""
  guard:
    description: What is held back while a disk of the host is away; empty for what the host has. With C(stack), each service mounts the permit of the guard.
    type: str
    choices: ["", "engine", "stack", "off"]
    default: ""
  prove_only:
    description: Put the project together and prove it, as every run does, and then leave all as it is.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep the compose project
  agnes.host.project:
    layout: flat
    image: agnes-demo:1
    profiles: [full, tls]
    env:
      DOMAIN: agnes.example.org
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
services:
  description: The services that Compose resolves, with the parts that the collection needs; no secrets.
  returned: success
  type: dict
recreates:
  description: In check mode, the containers that M(agnes.host.stack) will recreate because of the changes announced.
  returned: success
  type: list
  elements: str
layout:
  description: Name of the layout.
  returned: success
  type: str
chain:
  description: The files of the chain, in order.
  returned: success
  type: list
  elements: str
proved:
  description: A hash of the configuration that was proved; M(agnes.host.stack) checks it before it starts anything.
  returned: success
  type: str
notes:
  description: What an operator should know, though it stops nothing.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.options import ONE_SOURCE, PROJECT
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts import project
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            **PROJECT,
            "layout": {"type": "str", "required": True},
            "moves_to": {"type": "str", "default": ""},
            "guard": {"type": "str", "default": "", "choices": ["", "engine", "stack", "off"]},
            "prove_only": {"type": "bool", "default": False},
        },
        mutually_exclusive=ONE_SOURCE,
        supports_check_mode=True,
    )
    prove_only = module.params["prove_only"]
    actions = Actions(module.check_mode or prove_only)
    try:
        result = project.run(module.params, actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    if prove_only:
        actions.items.clear()
    module.exit_plain(**actions.result(**result))


if __name__ == "__main__":
    main()
