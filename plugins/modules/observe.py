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
  project_dir:
    description: The compose project's directory.
    type: str
    default: /opt/agnes
  certificate:
    description: The TLS certificate of the inventory, PEM. It is only checked, and not returned.
    type: str
    default: ""
  private_key:
    description: Its private key, PEM.
    type: str
    default: ""
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
  description: The observation, the input of the filters; its shape is in C(module_utils/core/facts.py).
  returned: success
  type: dict
check_mode:
  description: Whether this call ran in check mode, set by the command line, the play or the task.
  returned: success
  type: bool
"""

from ansible_collections.agnes.host.plugins.module_utils.core.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.host import observe


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "data_device": {"type": "str", "default": ""},
            "state_device": {"type": "str", "default": ""},
            "project_dir": {"type": "str", "default": "/opt/agnes"},
            "certificate": {"type": "str", "default": ""},
            "private_key": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        host = observe(**module.params)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, host=host, check_mode=module.check_mode)


if __name__ == "__main__":
    main()
