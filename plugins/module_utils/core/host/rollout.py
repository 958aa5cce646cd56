# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a fleet is rolled out, and one line a host that says what would be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import say_size

CANARY, WAVE, CHECK, REFUSED, UNDECIDED = "canary", "wave", "check", "refused", "undecided"

NOTHING, REFUSE = "nothing", "refuse"
_DOES = ("format", "move", "copy", "change", REFUSE, NOTHING)
"""What a run does with a host, in the order of the summary; a host may have more than one."""

_COPYING = ("precopy", "whole", "final")
"""The steps of a move that copy state (core/move/move_steps.py)."""

_SHOWN = 4
"""How many changes of a host its line names."""


def _stage_of(host: Mapping[str, Any]) -> str:
    if host["refusal"]:
        return REFUSED
    if not host["layout"]:
        return UNDECIDED
    return CHECK if host["right"] else WAVE


def stages(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Host -> ``canary``, ``wave``, ``check``, ``refused`` or ``undecided``.

    hosts: for each, in inventory order, ``deployment``, ``canary`` (asked to be one), ``refusal`` (empty when there is
    none), ``layout``, and ``right`` (nothing is to be done). The canary of a deployment is the first host that is asked to
    be, also where it is right: then the change is proved there. Else it is the first one that is not right.
    """
    stage_of = {name: _stage_of(host) for name, host in hosts.items()}
    for deployment in dict.fromkeys(host["deployment"] for host in hosts.values()):
        own = [name for name, host in hosts.items() if host["deployment"] == deployment]
        able = [name for name in own if stage_of[name] == WAVE]
        asked = [name for name in own if stage_of[name] in (WAVE, CHECK) and hosts[name]["canary"]]
        for name in (asked or able)[:1]:
            stage_of[name] = CANARY
    return stage_of


def _say_move(move: Mapping[str, Any]) -> str:
    if move["direction"] == "back":
        what = f"give up the move to layout {move['target']}"
    else:
        what = f"move state from layout {move['source']}"
    return f"{what} ({len(move['steps'])} steps; downtime: {move['downtime']})"


def _what(move: Mapping[str, Any], changes: Sequence[Mapping[str, str]]) -> str:
    if not changes:
        return _say_move(move) if move else "nothing to change"
    shown = [change["what"] for change in changes[:_SHOWN]]
    more = len(changes) - len(shown)
    count = f"{len(changes)} change{'s' if len(changes) > 1 else ''}"
    said = f"{count}: {', '.join(shown)}{f' and {more} more' if more else ''}"
    return f"{_say_move(move)}, and {said}" if move else said


def does(host: Mapping[str, Any]) -> tuple[str, ...]:
    """What would be done with a host: of _DOES."""
    if host["refusal"]:
        return (REFUSE,)
    verbs = []
    if "format" in host["disks"]:
        verbs.append("format")
    if host["move"]:
        copies = any(step["id"] in _COPYING for step in host["move"]["steps"])
        verbs.append("copy" if copies and host["move"]["direction"] == "forward" else "move")
    if host["changes"] and not verbs:
        verbs.append("change")
    return tuple(verbs) or (NOTHING,)


def row(host: Mapping[str, Any]) -> dict[str, Any]:
    """What would be done with a host, as data: ``does``, ``planned`` (the sentence), ``source`` and ``target``, the
    layout before and after (empty: none yet), ``bytes`` that are copied or None, and the number of ``changes``.
    """
    what, move = does(host), host["move"]
    back = move and move["direction"] == "back"
    target = host["layout"] or ""
    return {
        "does": list(what),
        "planned": host["refusal"]
        or f"{host['layout'] or 'no layout'}: {_what(move, host['changes'])}",
        "source": move["source"] if move and not back else "" if "format" in what else target,
        "target": target,
        "bytes": move["bytes"] if "copy" in what else None,
        "changes": len(host["changes"]),
    }


def lines(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table, one line a host, and a last line that counts.

    The columns are host, deployment, stage, what would be done, bytes that are copied, and the layout with
    the changes and the expected downtime, or why not.
    hosts: as for ``stages``, and what a check run announced: ``move``, the part of
    the plan (empty for none), ``disks``, the actions of its disks, and ``changes``, the other actions.
    """
    stage = stages(hosts)
    rows = [
        (
            name, host["deployment"], stage[name], "+".join(said["does"]),
            "-" if said["bytes"] is None else say_size(said["bytes"]), said["planned"],
        )
        for name, host in hosts.items()
        for said in [row(host)]
    ]  # fmt: skip
    head = ("HOST", "DEPLOYMENT", "STAGE", "DOES", "COPIES", "WHAT, AND WHY")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head) - 1)]
    table = [
        "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths)), row[-1]])
        for row in [head, *rows]
    ]
    counts = {what: sum(what in does(host) for host in hosts.values()) for what in _DOES}
    said = ", ".join(f"{what} {count}" for what, count in counts.items() if count)
    return [*table, f"{len(hosts)} host{'s' if len(hosts) != 1 else ''}: {said or 'none'}"]
