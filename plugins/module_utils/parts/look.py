# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking each part what it would do on the host as it is, by the very code that does it.

Read-only. It saves a host that is right the calls that would each find out that there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..core.disks.mounts import on_top
from ..core.host.errors import Refusal
from ..core.host.facts import Host
from ..core.host.guard import guard_wanted
from ..core.host.host_tools import keeps_env
from ..core.host.keeping import host_tools
from ..core.host.parts import CADDY, PROJECT, STACK, TREE, is_calm, is_known, said
from ..core.host.text import hide
from ..core.layout.choice import choose_layout, current_layout
from ..core.layout.layouts import Layout
from ..core.move.moves import interrupted
from ..system.compose import upgrade
from ..system.host.actions import Actions
from ..system.host.commands import Failed
from . import caddy, project, stack, tree

Ask = Callable[[dict[str, Any], Actions], dict[str, Any]]


def _layout_of(host: Host, settings: Mapping[str, Any]) -> tuple[Optional[Layout], bool]:
    """The layout that the host has, or else will have, and which of both it is. Raises a Refusal."""
    if host["engine"]["error"] or host["project"]["link"] or interrupted(host):
        return None, False
    current = current_layout(host)
    if current:
        return current, True
    keys = ("layout", "wanted", "override")
    return choose_layout(host, *(settings[key] for key in keys))[0], False


def _ask_in_peace(part: Ask, settings: Mapping[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The same of a part that an upgrade changes while it is looked at: then a refusal proves nothing."""
    taken = upgrade.at_work()
    answer = _ask(part, settings, params)
    if answer["refusal"] and (taken or upgrade.at_work()):
        return said(answer["actions"], unknown=f"an upgrade is at work ({answer['refusal']})")
    return answer


def _ask(part: Ask, settings: Mapping[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """What a part says in check mode. Nothing of it, errors included, has a secret of the inventory."""
    actions = Actions(True)
    secrets = [str(value) for value in settings["secrets"].values()] + [settings["private_key"]]
    try:
        answer = part(params, actions)
    except Refusal as refusal:
        return said(actions.items, refusal=hide(str(refusal), secrets), code=refusal.code)
    except (Failed, OSError, ValueError) as error:
        return said(actions.items, unknown=hide(str(error), secrets))
    return said(actions.items, **answer)


def _project(
    settings: Mapping[str, Any], layout: Layout, common: Mapping[str, Any]
) -> dict[str, Any]:
    keys = ("image", "artifacts_dir", "env", "secrets")
    given = {key: settings[key] for key in keys}
    params = {**common, **given, "layout": layout.name, "moves_to": "", "fetch": False}
    return _ask_in_peace(project.run, settings, params)


def look(host: Host, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What each part says, the layout and mount points for which, and whether the project could be proved first.

    settings: options of M(agnes.host.observe). A host that has no layout yet, or whose disks are not
    mounted, is only asked for its project; one in the middle of a move for nothing.
    """
    given = bool(settings["image"] or settings["artifacts_dir"])
    answers: dict[str, Any] = {"layout": "", "mounted": [], "proof": given}
    try:
        layout, has_it = _layout_of(host, settings)
    except Refusal:
        # The plan refuses by itself, with the same sentence.
        return answers
    if layout is None or not (has_it or given):
        return answers
    targets = {mount["target"] for mount in on_top(host["mounts"])}
    mounted = sorted(point for point in set(layout.mounts.values()) if point in targets)
    answers.update(layout=layout.name, mounted=mounted)
    guard = guard_wanted(settings)
    common = {
        "project_dir": settings["project_dir"], "profiles": settings["profiles"], "guard": guard,
    }  # fmt: skip
    answers[PROJECT] = _project(settings, layout, common)
    if not has_it or layout.mounts["data"] not in targets:
        return answers
    placed = {"layout": layout.name, "mounted": mounted, "moves_to": ""}
    pair = {"certificate": settings["certificate"], "private_key": settings["private_key"]}
    if bool(pair["certificate"]) == bool(pair["private_key"]):
        tools = {
            "host_tools": host_tools(host, [], settings),
            "keep_env": keeps_env(settings, host["project"]["path"]),
        }
        answers[TREE] = _ask(tree.run, settings, {**placed, **common, **pair, **tools})
    if not is_known(answers[PROJECT]) or answers[PROJECT]["refusal"]:
        return answers
    params = {
        **common, **placed, "services": answers[PROJECT]["services"],
        "recreates": answers[PROJECT]["recreates"], "proved": answers[PROJECT]["proved"],
        "left_stopped": [], "moves": False, "starts": [], "start": True, "timeout": 0,
    }  # fmt: skip
    answers[STACK] = _ask_in_peace(stack.run, settings, params)
    # Caddy answers only where it is up; what will be started anew is not asked.
    if is_calm(answers[PROJECT]) and is_calm(answers[STACK]):
        params = {
            **common,
            **placed,
            "certificate": pair["certificate"],
            "announced": [],
            "moves": False,
        }
        answers[CADDY] = _ask_in_peace(caddy.run, settings, params)
    return answers
