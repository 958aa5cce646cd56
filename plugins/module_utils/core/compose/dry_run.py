# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what ``docker compose --dry-run`` prints, which is text for people.

From 2.x to 5.x its lines differ in their prefix and spaces only: ``DRY-RUN MODE -  Container NAME
STATUS``. A line about a container that is not of this form, and a container that runs and that no
line tells of, are unknown, which is not the same as nothing to do.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from ..host.errors import DryRunUnreadable

_PREFIX = "DRY-RUN MODE -"
_RECREATE = {"Recreate", "Recreated"}
_KNOWN = _RECREATE | {
    "Create", "Creating", "Created", "Running", "Starting", "Started", "Stopping", "Stopped",
    "Removing", "Removed", "Waiting", "Healthy", "Exited", "Skipped",
}  # fmt: skip

LABELLED = "docker-compose.agnes-host-dry-run.yml"
"""An overlay for a dry run only, see labelled; it is never on the host."""


def labelled(services: Collection[str]) -> bytes:
    """The text of an overlay with which ``services`` certainly differ from their containers."""
    label = {"labels": {"agnes.host.dry-run": "1"}}
    return json.dumps({"services": dict.fromkeys(services, label)}).encode()


def recreated(text: str, running: Collection[str]) -> set[str]:
    """Names of the containers that a dry run says it would recreate.

    running: the containers that must be told of. Raises DryRunUnreadable.
    """
    names, told = set(), set()
    for line in text.splitlines():
        words = line.strip().removeprefix(_PREFIX).split()
        if words[:1] != ["Container"]:
            continue
        if len(words) != 3 or words[2] not in _KNOWN:
            raise DryRunUnreadable(found=f"the line '{' '.join(words)}'")
        told.add(words[1])
        if words[2] in _RECREATE:
            names.add(words[1])
    silent = sorted(set(running) - told)
    if silent:
        raise DryRunUnreadable(found=f"nothing about container '{silent[0]}'")
    return names
