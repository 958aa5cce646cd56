# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order a fleet is rolled out, and one line a host that says what would be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CANARY, WAVE, REFUSED, UNDECIDED = "canary", "wave", "refused", "undecided"

VARIABLES = (
    "agnes_deployment", "rollout_canary", "rollout_row_url", "rollout_serial", "rollout_max_fail",
)  # fmt: skip
"""What the playbooks read of an inventory, beside the variables of the roles."""

_SHOWN = 4
"""How many changes of a host its line names."""


def _stage_of(host: Mapping[str, Any]) -> str:
    if host["refusal"]:
        return REFUSED
    return WAVE if host["layout"] else UNDECIDED


def stages(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Host -> ``canary``, ``wave``, ``refused`` or ``undecided``.

    hosts: for each, in inventory order, ``deployment``, ``canary`` (asked to be
    one), ``refusal`` (empty when there is none) and ``layout``. Each deployment
    has exactly one canary among the hosts that are not refused: the first that is
    asked to be, else the first.
    """
    found = {name: _stage_of(host) for name, host in hosts.items()}
    for deployment in dict.fromkeys(host["deployment"] for host in hosts.values()):
        able = [
            name
            for name, host in hosts.items()
            if host["deployment"] == deployment and found[name] == WAVE
        ]
        asked = [name for name in able if hosts[name]["canary"]]
        for name in (asked or able)[:1]:
            found[name] = CANARY
    return found


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


def lines(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line a host: its deployment, stage, layout, and what would change or why not.

    hosts: as for ``stages``, and what a check run announced: ``move``, the part of
    the plan (empty for none), and ``changes``, the other actions.
    """
    stage = stages(hosts)
    width = max((len(name) for name in hosts), default=0)
    return [
        f"{name:<{width}}  {host['deployment']}  {stage[name]:<9}  "
        + (
            host["refusal"]
            or f"{host['layout'] or 'no layout'}: {_what(host['move'], host['changes'])}"
        )
        for name, host in hosts.items()
    ]
