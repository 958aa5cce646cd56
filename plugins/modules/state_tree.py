#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: state_tree
short_description: Keep the tree on the data and the state disk, and the marker that says it is state
version_added: "0.1.0"
description:
  - Makes the directories that the product needs before its first start, corrects the owner of each,
    places the TLS certificate if one is given, makes the layout's link for old readers, and writes
    the marker C(.agnes-state.json) at the top of STATE_DIR.
  - Nothing is written unless the disks are mounted where they belong, and no link is followed.
  - Installs the command C(agnes-host), for C(agnes-host explain), and the systemd unit of a move.
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
attributes:
  check_mode:
    support: full
    details: On a host whose disks are not mounted yet, everything is announced as new.
  diff_mode:
    support: partial
    details: The content of files is not shown.
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
  moves_to:
    description:
      - In check mode, the layout to which a move before this would lead. O(layout) is then the one that the
        host has now, and told is what would be left to do after the move.
    type: str
    default: ""
  certificate:
    description: The TLS certificate with its chain, PEM. Empty leaves what is there.
    type: str
    default: ""
  private_key:
    description: Its private key, PEM.
    type: str
    default: ""
  profiles:
    description: Compose profiles that shall run; C(tls) needs the directory for certificates.
    type: list
    elements: str
    default: []
  keep_env:
    description: Whether units of systemd put the layout's keys of C(.env) back when somebody writes it anew.
    type: bool
    default: false
  guard:
    description:
      - What is held back while a disk of the host is away, as role agnes_compose has it. One that holds back less than
        the one that is there takes its place in M(agnes.host.stack), once the containers are made for it.
    type: str
    choices: ["engine", "stack", "off"]
    default: "off"
  host_tools:
    description:
      - Whether the host has the tools of this collection with their units, in place of the product's; the part
        C(host_tools) of the plan. Empty leaves it as it is.
    type: str
    choices: ["", install, remove]
    default: ""
"""

EXAMPLES = r"""
- name: Keep the tree under STATE_DIR
  agnes.host.state_tree:
    layout: "{{ plan.layout }}"
    mounted: "{{ plan.mounted }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
"""

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts import tree
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "layout": {"type": "str", "required": True},
            "mounted": {"type": "list", "elements": "str", "required": True},
            "moves_to": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "private_key": {"type": "str", "default": "", "no_log": True},
            "profiles": {"type": "list", "elements": "str", "default": []},
            "keep_env": {"type": "bool", "default": False},
            "guard": {"type": "str", "default": "off", "choices": ["engine", "stack", "off"]},
            "host_tools": {"type": "str", "default": "", "choices": ["", "install", "remove"]},
        },
        required_together=[("certificate", "private_key")],
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        result = tree.run(module.params, actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(**result))


if __name__ == "__main__":
    main()
