#!/usr/bin/python
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
    support: full
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

import json
import os
from typing import Any

from ansible_collections.agnes.host.plugins.module_utils.core.certificates import (
    CHAIN_FILE,
    KEY_FILE,
)
from ansible_collections.agnes.host.plugins.module_utils.core.chain import TLS_PROFILE
from ansible_collections.agnes.host.plugins.module_utils.core.errors import NotMounted, Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.layouts import (
    CERTIFICATES,
    LAYOUTS,
    Layout,
    is_below,
)
from ansible_collections.agnes.host.plugins.module_utils.core.tree import (
    MARKER,
    MARKER_FORMAT,
    Entry,
    wanted_tree,
)
from ansible_collections.agnes.host.plugins.module_utils.move import publish
from ansible_collections.agnes.host.plugins.module_utils.output import Module
from ansible_collections.agnes.host.plugins.module_utils.system import (
    certificates,
    devices,
    record,
    trees,
)
from ansible_collections.agnes.host.plugins.module_utils.system.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.commands import Failed
from ansible_collections.agnes.host.plugins.module_utils.system.host import read_marker


def missing_mounts(mounted: list[str]) -> list[str]:
    """Which of the mount points nothing is mounted at."""
    targets = {mount["target"] for mount in devices.mounts([])}
    return [point for point in mounted if point not in targets]


def marker_entry(layout: Layout) -> Entry:
    """The marker as a file of the tree: whose state this is, and since which epoch."""
    marker: dict[str, Any] = {
        "format": MARKER_FORMAT,
        "instance_id": record.load().get("instance_id", ""),
        "layout": layout.name,
        "role": "active",
        "epoch": 1,
    }
    text = json.dumps(marker, indent=2) + "\n"
    return Entry(os.path.join(layout.state_dir, MARKER), "file", 0, 0, 0o644, content=text)


def keep_tree(params: dict[str, Any], actions: Actions) -> None:
    """Everything in order: parents first, the marker last."""
    layout = LAYOUTS[params["layout"]]
    missing = missing_mounts(params["mounted"])
    if missing and not actions.check:
        raise NotMounted(mount_point=missing[0], found="no disk there")
    folder = os.path.join(layout.state_dir, CERTIFICATES)
    certs = TLS_PROFILE in params["profiles"] or (not missing and trees.exists(folder))
    entries = wanted_tree(layout, params["certificate"], params["private_key"], certs)
    pair = [entry for entry in entries if entry.path.endswith((KEY_FILE, CHAIN_FILE))]
    if missing or read_marker(layout.state_dir) is None:
        entries.append(marker_entry(layout))
    for entry in entries:
        if missing:
            trees.announce_fresh(entry, actions, entry.path in params["mounted"])
        elif pair and entry is pair[0]:
            certificates.keep_pair(pair[0], pair[1], actions)
        elif entry not in pair:
            trees.keep(entry, actions)


def foresee_tree(params: dict[str, Any], actions: Actions) -> None:
    """What is left of the tree to be made after a move that is still to come.

    It makes links, the marker and the command itself; everything else moves with the state, so what
    is missing now will be missing at the new place.
    """
    if not actions.check:
        raise Failed("moves_to is for a check run: state is not in that layout yet")
    now, target = LAYOUTS[params["layout"]], LAYOUTS[params["moves_to"]]
    keep_tree(params, actions)
    own = {*now.links, os.path.join(now.state_dir, MARKER)}
    actions.items[:] = [
        {**item, "what": rebased(item["what"], now.state_dir, target.state_dir)}
        for item in actions.items
        if item["what"] not in own
    ]


def rebased(path: str, old: str, new: str) -> str:
    """A path at or below ``old`` as it will be below ``new``; others as they are."""
    return new + path[len(old) :] if is_below(path, old) else path


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
        },
        required_together=[("certificate", "private_key")],
        supports_check_mode=True,
    )
    actions = Actions(module.check_mode)
    try:
        if module.params["moves_to"]:
            foresee_tree(module.params, actions)
        else:
            keep_tree(module.params, actions)
            publish.keep(actions)
    except (Refusal, Failed, OSError) as error:
        module.fail_json(msg=str(error), **actions.result())
    module.exit_json(**actions.result())


if __name__ == "__main__":
    main()
