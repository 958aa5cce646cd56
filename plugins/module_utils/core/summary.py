# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said at the end of a run, for someone tired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 12
"""How many changes are named."""


def _changes(actions: Sequence[Mapping[str, str]]) -> list[str]:
    lines = [f"changed    {a['what']}: {a['before']} -> {a['after']}" for a in actions[:_SHOWN]]
    more = len(actions) - len(lines)
    return [*lines, f"changed    and {more} more"] if more else lines


def summarise(
    plan: Mapping[str, Any],
    stack: Mapping[str, Any],
    url: str = "",
    actions: Sequence[Mapping[str, str]] = (),
) -> list[str]:
    """Lines that say what was changed and where everything is.

    stack: the result of the stack module, if any; actions: what the modules did.
    """
    lines = [
        *_changes(actions),
        f"layout     {plan['layout']}, STATE_DIR={plan['state_dir']}, overlay {plan['overlay']}",
    ]
    for disk in plan["disks"]:
        where = disk["device"] or "(a directory of the data disk)"
        lines.append(f"disk       {disk['role']}: {where} at {disk['mount_point']}")
    for name, state in sorted((stack.get("services") or {}).items()):
        lines.append(f"service    {name}: {state}")
    proved = stack.get("proved") or {}
    if proved:
        lines.append(
            f"proof      STATE_DIR is on the state disk in {len(proved)} containers: {', '.join(sorted(proved))}"
        )
    if url:
        lines.append(f"url        {url}")
    return lines
