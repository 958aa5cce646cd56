# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a run have something to do, by what each has said about the host as it is.

A part is skipped only where it was asked, knew everything, and would do nothing. Whatever else is so,
also that it could not be asked, makes its task run: that asks again, and acts or refuses by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..disks.disks import DiskPlan
from ..disks.protection import to_protect
from ..layout.layouts import Layout
from ..move.plan_file import MADE
from .facts import Host

DISKS, TREE, PROJECT, STACK, CADDY = "disks", "tree", "project", "stack", "caddy"
ASKED = (TREE, PROJECT, STACK, CADDY)
"""The parts that the observation asks, in the order of a run."""
PROOF = "proof"
"""The project is put together before a disk is touched, and nothing is done with it."""

_AFTER = {STACK: {PROJECT}, CADDY: {PROJECT, STACK}}
"""What a part can't know before the others have done what they announce."""


def said(
    actions: Sequence[Mapping[str, str]] = (), unknown: str = "", refusal: str = "", code: str = "",
    **results: Any,
) -> dict[str, Any]:  # fmt: skip
    """What a part says: its actions and results, why they are not known, or why it refuses."""
    return {
        **results, "actions": list(actions), "unknown": unknown, "refusal": refusal, "code": code,
    }  # fmt: skip


def is_calm(part: Optional[Mapping[str, Any]]) -> bool:
    """Whether a part knows that it has nothing to do."""
    return part is not None and not (part["actions"] or part["unknown"] or part["refusal"])


def asked(host: Host, layout: Layout, mounted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the parts said of ``layout`` with disks at ``mounted``; none where they were asked of another."""
    answers = host["parts"]
    if answers.get("layout") != layout.name or sorted(answers["mounted"]) != sorted(mounted):
        return {}
    return {name: answers[name] for name in ASKED if name in answers}


def _has_disks_to_keep(host: Host, disks: Sequence[DiskPlan]) -> bool:
    """Whether a disk is to be made, mounted, recorded, or grown."""
    recorded = host["record"].get("disks") or {}
    return any(
        disk.action in MADE
        or disk.grows
        or (disk.action != "directory" and disk.role not in recorded)
        for disk in disks
    )


def needed(
    host: Host, disks: Sequence[DiskPlan], move: Mapping[str, Any],
    parts: Mapping[str, Mapping[str, Any]],
) -> list[str]:  # fmt: skip
    """The parts whose tasks are to run, in order.

    move: the part of the plan, empty for none; parts: see ``asked``. With a move those after it are told
    in a check run alone; a run observes anew after it. In the middle of one, or while a mount
    shadows state, what will be left of the tree to do can't be looked at.
    """
    kept = _has_disks_to_keep(host, disks) or to_protect(disks, host["protection"])
    due = [DISKS] if kept else []
    if move:
        tree = [TREE] if move["new"] and move["kind"] != "promote" else []
        return [*due, *tree, PROJECT, STACK, CADDY]
    touched = any(disk.action in MADE for disk in disks)
    if touched and host["parts"].get("proof") and not is_known(host["parts"].get(PROJECT)):
        due = [PROOF, *due]
    for name in ASKED:
        if touched or not is_calm(parts.get(name)) or _AFTER.get(name, set()) & set(due):
            due.append(name)
    return due


def is_known(part: Optional[Mapping[str, Any]]) -> bool:
    """Whether a part could say what it would do, or that it refuses."""
    return part is not None and not part["unknown"]


def refused(
    host: Host, layout: Layout, disks: Sequence[DiskPlan], parts: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The part that refuses, where nothing that comes before it could change that; empty for none.

    The project is put together without the disks, so it also stops a run that would touch them.
    """
    if _has_disks_to_keep(host, disks):
        project = host["parts"].get(PROJECT) or {}
        same = host["parts"].get("layout") == layout.name and host["parts"].get("proof")
        return project if same and project.get("refusal") else {}
    for name in ASKED:
        part = parts.get(name)
        if part and part["refusal"]:
            return part
        if not is_calm(part):
            break
    return {}
