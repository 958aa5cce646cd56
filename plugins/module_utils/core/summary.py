# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said at the end of a run, for someone tired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summarise(plan: Mapping[str, Any], stack: Mapping[str, Any], url: str = "") -> list[str]:
    """Lines that say where everything is. ``stack``: the result of the stack module, if any."""
    lines = [
        f"layout     {plan['layout']}, STATE_DIR={plan['state_dir']}, overlay {plan['overlay']}"
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
