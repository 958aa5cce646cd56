#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: caddy
short_description: Make Caddy serve the certificate in STATE_DIR and use the project's Caddyfile
version_added: "0.1.0"
description:
  - Asks the running Caddy over TLS which certificate it serves, and compares that with the file in C(STATE_DIR/certs),
    whoever placed it. If they differ, Caddy reloads; if that does not help, its container is restarted.
  - A container that still sees an older C(Caddyfile) than the project has is restarted. This happens when the
    file was replaced by a rename.
  - Nothing is compared if Caddy does not run, or has its certificate from elsewhere (C(CADDY_TLS)).
author:
  - The Agnes host maintainers (@agnes-host)
extends_documentation_fragment:
  - agnes.host.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Fingerprints are shown, never a key.
  idempotent:
    support: full
options:
  layout:
    description: Name of the layout, as P(agnes.host.plan#filter) chose it.
    type: str
    required: true
  project_dir:
    description: The compose project's directory.
    type: str
    default: /opt/agnes
  certificate:
    description: In check mode, the certificate that M(agnes.host.state_tree) will place, PEM.
    type: str
    default: ""
  announced:
    description: In check mode, the actions of M(agnes.host.project) and M(agnes.host.stack).
    type: list
    elements: dict
    default: []
  moves:
    description: In check mode, whether a move comes before this, which makes Caddy's container anew.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: See that Caddy serves the certificate that was placed
  agnes.host.caddy:
    layout: flat
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
certificate:
  description: The certificate that Caddy serves, for people; empty if Caddy does not run or is about to be restarted.
  returned: success
  type: str
"""

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts import caddy
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "layout": {"type": "str", "required": True},
            "project_dir": {"type": "str", "default": "/opt/agnes"},
            "certificate": {"type": "str", "default": ""},
            "announced": {"type": "list", "elements": "dict", "default": []},
            "moves": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        result = caddy.run(module.params, actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(**result))


if __name__ == "__main__":
    main()
