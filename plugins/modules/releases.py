#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: releases
short_description: Say what a run would make of releases of the product, without a host
version_added: "0.1.0"
description:
  - Takes the compose files of releases as they are, and says for each layout which C(COMPOSE_FILE) a run would
    write, with which overlay, which services see which disk, what that changes, and what to beware of.
  - Decides by the same functions as M(agnes.host.project). It needs Docker Compose, and neither an engine, nor
    root, nor a disk. Nothing is changed.
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
  directories:
    description:
      - Directories that hold the files of one release each, the older release first. Each is compared with the one
        before it.
      - A C(.env) in one counts for its C(COMPOSE_FILE), and for keys that the files ask for. Secrets in it, and
        where it says that state is, are not used.
    type: list
    elements: path
    required: true
  profiles:
    description: Compose profiles that shall run.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Look at two releases
  agnes.host.releases:
    directories: [/srv/releases/0.54, /srv/releases/0.55]
    profiles: [tls]
  register: looked

- name: Show the page
  ansible.builtin.debug:
    msg: "{{ looked.page }}"
"""

RETURN = r"""
releases:
  description:
    - For each release, layout and database whether it can be C(kept), C(chain), C(overlay), its C(origin) and C(text),
      C(services), C(changes) and C(traps); see C(module_utils/core/compose/releases.py).
  returned: success
  type: list
  elements: dict
lines:
  description: A line for each, and one for each of its traps.
  returned: success
  type: list
  elements: str
page:
  description: The same as Markdown, a table and a section for each.
  returned: success
  type: str
"""

from ansible_collections.agnes.host.plugins.module_utils.core.compose.releases import lines, page
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.parts.release import look
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={
            "directories": {"type": "list", "elements": "path", "required": True},
            "profiles": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        fits = look(module.params["directories"], module.params["profiles"])
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_plain(changed=False, releases=fits, lines=lines(fits), page=page(fits))


if __name__ == "__main__":
    main()
