#!/usr/bin/python
# Copyright (c) 2026, The Agnes host maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: purge
short_description: List what runs have set aside on an Agnes host, and delete what is named
version_added: "0.1.0"
description:
  - Moves, quarantines and replaced files leave what was there before beside the new one. This module
    lists it, and deletes exactly the paths that are named, no others, without following links.
  - While a move is asked for or has not ended, nothing is deleted, and while something is deleted no move begins.
  - It does not prove that the live copy is good. The playbook C(agnes.host.purge) does that first.
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
    support: none
    details: A path that is named and is not there is refused, because it may be misspelt.
options:
  paths:
    description: What to delete, as the list names it. Empty to list only.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: List what has been set aside
  agnes.host.purge:
  register: retired

- name: Delete one of it
  agnes.host.purge:
    paths: [/data/.agnes-host-aside/state.1c9e]
"""

RETURN = r"""
actions:
  description: What was deleted, or in check mode would be; see M(agnes.host.disks).
  returned: always
  type: list
  elements: dict
found:
  description: A line for each thing that was set aside, before anything was deleted.
  returned: success
  type: list
  elements: str
"""

from contextlib import AbstractContextManager, nullcontext

from ansible_collections.agnes.host.plugins.module_utils.core.copy.retired import check_named, say
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import MoveUnderWay
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system.copy import retired
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger


def check_nothing_moves() -> None:
    """Raise MoveUnderWay when a move is asked for or has not ended: what was set aside may be in its use."""
    for path, progress in (
        (ledger.INTENT, "it has not ended"),
        (ledger.REQUEST, "it is asked for"),
    ):
        if ledger.read(path):
            raise MoveUnderWay(found=f"{progress}, says '{path}'")


def alone(paths: list[str], check_mode: bool) -> AbstractContextManager[None]:
    """The host's lock where something is going to be deleted: no move begins meanwhile."""
    return ledger.locked(ledger.PURGE, ledger.LOCK) if paths and not check_mode else nullcontext()


def purge(paths: list[str], actions: Actions) -> list[str]:
    """Check all names first, then delete; returns what there was."""
    if paths:
        check_nothing_moves()
    items = retired.find()
    chosen = check_named(paths, items)
    for item in items:
        if item["path"] in chosen:
            actions.take(
                item["path"],
                f"{item['files']} files, {item['bytes']} bytes",
                "deleted",
                lambda path=item["path"]: retired.delete(path),
            )
    return [say(item) for item in items]


def main() -> None:
    """Entry point."""
    module = Module(
        argument_spec={"paths": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        with alone(module.params["paths"], module.check_mode):
            listed = purge(module.params["paths"], actions)
    except (Refusal, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result(found=listed))


if __name__ == "__main__":
    main()
