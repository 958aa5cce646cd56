# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree on the data and the state disk, and the marker that says it is state."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.compose.certificates import CHAIN_FILE, KEY_FILE
from ..core.compose.chain import TLS_PROFILE
from ..core.disks.mounts import on_top
from ..core.host.errors import NotMounted
from ..core.host.guard import OFF
from ..core.layout.layouts import CERTIFICATES, LAYOUTS, Layout, is_below
from ..core.layout.tree import MARKER, MARKER_FORMAT, Entry, wanted_tree
from ..host_tools import install
from ..move import publish
from ..system.compose import certificates
from ..system.disks import devices
from ..system.host import permit, record
from ..system.host.actions import Actions
from ..system.host.commands import Failed
from ..system.layout import markers, trees


def missing_mounts(mounted: list[str]) -> list[str]:
    """Which of the mount points nothing is mounted at."""
    targets = {mount["target"] for mount in on_top(devices.mounts([]))}
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
    if missing or markers.seen(layout.state_dir) is None:
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


def run(params: dict[str, Any], actions: Actions) -> dict[str, Any]:
    """The whole part, with the command for whoever is on the host. params: options of M(agnes.host.state_tree)."""
    if params["moves_to"]:
        foresee_tree(params, actions)
    else:
        keep_tree(params, actions)
        publish.keep(actions)
    install.keep(params["host_tools"], params["keep_env"], params["guard"], actions)
    if not params["moves_to"] or permit.guard_here() == OFF:
        # Where there is a guard, the start of a move gives it.
        permit.keep(params["guard"], actions)
    return {}
