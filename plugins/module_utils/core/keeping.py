# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the plan about secrets, certificates and the product's own host tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .disks import DiskPlan
from .facts import Host
from .layouts import Layout
from .state_secrets import app_runs, contradictions, fill, say


def unseen_or_new(disks: Sequence[DiskPlan]) -> tuple[bool, bool]:
    """Whether state is on a filesystem that is yet to be mounted, and whether on one yet to be made."""
    actions = {disk.role: disk.action for disk in disks}
    action = actions.get("state", "")
    action = actions.get("data", "") if action == "directory" else action
    return action == "mount", action == "format"


def _secrets(
    host: Host, layout: Layout, disks: Sequence[DiskPlan], request: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    unseen, new = unseen_or_new(disks)
    secrets = host["secrets"]
    seen = {} if unseen or new else secrets["in_state"].get(layout.state_dir, {})
    current = {*secrets["in_env"], *(str(key) for key in request.get("given_keys") or ())}
    taken, made = fill(seen, current, host["env"]["path"], app_runs(host["containers"]))
    used = bool(seen) and host["state"][layout.state_dir]["database"]
    return say(taken, made, used, unseen), contradictions(seen)


def secrets_and_keepers(
    host: Host, now: Layout, disks: Sequence[DiskPlan], request: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Sentences of the plan, and notes; not to be asked in the middle of a move, which must be able to end.

    now: the layout that the project is in until a move is made. request: ``given_keys``, the
    keys that the inventory has for ``.env``. Raises SecretUnusable and VaultKeyContradicts.
    """
    return _secrets(host, now, disks, request)
