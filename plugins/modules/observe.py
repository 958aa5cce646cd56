#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Observe everything of an Agnes host that decisions need, in one call
version_added: "0.1.0"
description:
  - Reads block devices and their signatures, mounts, C(/etc/fstab), the keys of C(.env) that are no
    secrets, compose files, the engine and Compose, and the project's containers with their mounts.
  - Changes nothing. All decisions of the collection are made from the value it returns, by filters
    such as P(agnes.host.plan#filter).
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
  - agnes.host.project
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
options:
  data_device:
    description: The disk for data, as a path such as C(/dev/sdb) or a link in C(/dev/disk/by-id), as
      C(UUID=), C(LABEL=), or as a serial. Empty for none.
    type: str
    default: ""
  state_device:
    description: The disk for state, likewise.
    type: str
    default: ""
  certificate:
    description: The TLS certificate of the inventory, PEM. It is only checked, and not returned.
    type: str
    default: ""
  private_key:
    description: Its private key, PEM.
    type: str
    default: ""
  parts:
    description:
      - Whether to ask M(agnes.host.state_tree), M(agnes.host.project), M(agnes.host.stack) and M(agnes.host.caddy), in this
        same call and in check mode, what they would do on the host as it is. A host that has no state yet
        is only asked for its project. O(image) is looked into only if it is on the host. All other options
        but the disks are theirs.
    type: bool
    default: false
  upkeep:
    description:
      - Whether to look, too, for what only an audit needs, such as how full the filesystems are, when the
        certificate ends, and what runs have set aside.
    type: bool
    default: false
  layout:
    description: For a host that has no state yet, the layout that the run asks for.
    type: str
    default: ""
  wanted:
    description: Likewise, the layout that the inventory asks for.
    type: str
    default: ""
  override:
    description: Let O(layout) win over O(wanted).
    type: bool
    default: false
  host_tools:
    description: Whether this collection's tools replace the product's, as role agnes_compose has it.
    type: str
    default: auto
  keep_env:
    description: Whether the host puts the layout's keys of C(.env) back, as role agnes_compose has it.
    type: bool
    default: false
  guard:
    description: What is held back while a disk is away, as role agnes_compose has it.
    type: str
    choices: ["engine", "stack", "off"]
    default: "off"
"""

EXAMPLES = r"""
- name: Observe the host
  agnes.host.observe:
    data_device: /dev/sdb
    state_device: /dev/sdc
  register: observed

- name: Show what a run would do
  ansible.builtin.debug:
    msg: "{{ (observed.host | agnes.host.plan({'layout': 'flat'})).sentences }}"
"""

RETURN = r"""
host:
  description: The observation, the input of the filters; its shape is in C(module_utils/core/host/facts.py).
  returned: success
  type: dict
check_mode:
  description: Whether this call ran in check mode, set by the command line, the play or the task.
  returned: success
  type: bool
"""

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.options import ONE_SOURCE, PROJECT
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts.look import look
from ansible_collections.agnes.host.plugins.module_utils.system.compose.remembered import remembered
from ansible_collections.agnes.host.plugins.module_utils.system.host import upkeep
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.host.host import observe

OF_THE_HOST = ("data_device", "state_device", "project_dir", "certificate", "private_key")
"""The options that are about the host itself."""


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            **PROJECT,
            "data_device": {"type": "str", "default": ""},
            "state_device": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "private_key": {"type": "str", "default": "", "no_log": True},
            "parts": {"type": "bool", "default": False},
            "upkeep": {"type": "bool", "default": False},
            "layout": {"type": "str", "default": ""},
            "wanted": {"type": "str", "default": ""},
            "override": {"type": "bool", "default": False},
            "host_tools": {"type": "str", "default": "auto"},
            "keep_env": {"type": "bool", "default": False},
            "guard": {"type": "str", "default": "off", "choices": ["engine", "stack", "off"]},
        },
        mutually_exclusive=ONE_SOURCE,
        supports_check_mode=True,
    )
    try:
        with remembered():
            host = observe(**{key: module.params[key] for key in OF_THE_HOST})
            if module.params["parts"]:
                host["parts"] = look(host, module.params)
            if module.params["upkeep"]:
                host["upkeep"] = upkeep.look(host)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_plain(changed=False, host=host, check_mode=module.check_mode)


if __name__ == "__main__":
    main()
