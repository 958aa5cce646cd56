# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 12
"""How many changes are named."""


_MOVE = "move: "
"""How the actions of a move's steps begin; the plan has shown all of these."""


def _changes(actions: Sequence[Mapping[str, str]], check: bool) -> list[str]:
    label = "to change" if check else "changed"
    said = [f"{a['what']}: {a['before']} -> {a['after']}" for a in actions]
    steps = [a["what"] for a in actions if a["what"].startswith(_MOVE)]
    others = [line for line in said if not line.startswith(_MOVE)]
    move = [f"the place of state: a move in {len(steps)} steps"] if steps else []
    shown = [*move, *others[:_SHOWN]]
    more = len(others) - len(others[:_SHOWN])
    return [f"{label:<10} {line}" for line in [*shown, *([f"and {more} more"] if more else [])]]


def summarise(
    plan: Mapping[str, Any],
    stack: Mapping[str, Any],
    url: str = "",
    actions: Sequence[Mapping[str, str]] = (),
    check: bool = False,
    served: str = "",
) -> list[str]:
    """Lines that say what was changed and where everything is.

    stack: the result of the stack module, if any; actions: what the modules did, or with
    ``check`` would do; served: the certificate that Caddy serves, as the module caddy says it.
    """
    # Only a check run ends with the move still to come.
    after, until = (" (after the move)", " (until the move)") if plan["move"] else ("", "")
    lines = [
        *_changes(actions, check),
        f"layout     {plan['layout']}, STATE_DIR={plan['state_dir']}, overlay {plan['overlay']}{after}",
    ]
    for disk in plan["disks"]:
        where = disk["device"] or "(a directory of the data disk)"
        moves = until if disk["role"] == "state" else ""
        lines.append(f"disk       {disk['role']}: {where} at {disk['mount_point']}{moves}")
    for name, state in sorted((stack.get("services") or {}).items()):
        lines.append(f"service    {name}: {state}")
    proved = stack.get("proved") or {}
    if proved:
        lines.append(
            "proof      data and state are on their disks, as seen inside of "
            f"{len(proved)} containers: {', '.join(sorted(proved))}"
        )
    for name, why in sorted((stack.get("unproved") or {}).items()):
        lines.append(f"no proof   {name}: {why}")
    if served:
        lines.append(f"tls        {served}")
    if url:
        lines.append(f"url        {url}")
    return lines
