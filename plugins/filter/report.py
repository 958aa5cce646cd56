# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout's report as data and as a page; each filter is documented in a file of its name beside this one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleFilterError
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from ansible_collections.agnes.host.plugins.module_utils.core.compose.images import say_running
from ansible_collections.agnes.host.plugins.module_utils.core.host import rollout_report as reports
from ansible_collections.agnes.host.plugins.module_utils.core.host.text import say_size
from ansible_collections.agnes.host.plugins.module_utils.core.layout.dotenv import PLAIN_KEYS
from ansible_collections.agnes.host.plugins.plugin_utils.controller import own_run

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "playbooks" / "templates" / "rollout"
_MANUAL = _ROOT / "docs" / "errors.md"
_RESULTS = (
    "__disks_done", "__state_layout_moved", "__state_layout_done", "__agnes_compose_kept",
    "__agnes_compose_started", "__agnes_compose_served",
)  # fmt: skip
"""Where the roles leave what their modules did, in the order of the run."""
_WELL = (reports.DONE, reports.NOTHING)
_MOST_NAMED = 5
"""Of how many hosts with the same trouble the page has the message on top; it has each one's below."""
_GLYPHS = {
    reports.FAILED: "✕", reports.LOST: "?", reports.BACK: "↩", reports.REFUSED: "⊘", reports.UNTOUCHED: "·",
    reports.UNDECIDED: "-", reports.DONE: "✓", reports.NOTHING: "=",
}  # fmt: skip
_STATES = {
    "running": "under way", "stopped": "stopped", "trouble": "ended with errors", "planned": "planned",
    "done": "done",
}  # fmt: skip


def _secrets(hosts: Iterable[Mapping[str, Any]]) -> set[str]:
    """The values of an inventory that no report may have, wherever a message took them from."""
    secrets: set[str] = set()
    for host in hosts:
        for name, plain in (("agnes_compose_secrets", ()), ("agnes_compose_env", PLAIN_KEYS)):
            try:
                secrets |= {str(v) for k, v in (host.get(name) or {}).items() if k not in plain}
            except (AnsibleError, UndefinedError):
                # It has no value that anything could have shown.
                continue
    return secrets


def _seen(host: Mapping[str, Any], well: bool) -> dict[str, Any]:
    """What the roles and the gate have left of a host. well: whether it came through its turn; else what its plan
    has left may be there yet, and is no proof.
    """
    left = [host.get(name) or {} for name in _RESULTS]
    stack = host.get("__rollout_stack") or {}
    row = (host.get("__rollout_row") or {}).get("stdout") or ""
    move = (host.get("__rollout_plan") or {}).get("move") or {}
    return {
        "changed": [action for result in left for action in result.get("actions") or []],
        "downtime_expected": move.get("downtime") or "",
        "proofs": reports.proofs(
            stack.get("proved") or {}, say_running(stack.get("images") or {}), " ".join(row.split())
        )
        if well
        else [],
    }


def rollout_report(
    result: Mapping[str, Any],
    hosts: Iterable[Mapping[str, Any]] = (),
    began: str = "",
    check: bool = False,
) -> dict[str, Any]:
    """The report of one run."""
    known = {str(host["inventory_hostname"]): host for host in hosts}
    said = [
        {
            **_seen(known.get(host["name"], {}), bool(host["ended"]) and host["outcome"] in _WELL),
            **host,
        }
        for host in result.get("hosts") or []
    ]
    run = own_run()
    whole = {
        "controller": f"{run['user']}@{run['controller']}", "began": began, "check": check, **result, "hosts": said,
    }  # fmt: skip
    return reports.report(whole, _secrets(known.values()))


def rollout_join(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of several."""
    try:
        return reports.join(parts)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def rollout_page(report: Mapping[str, Any]) -> str:
    """A report as one page of HTML, which needs nothing else."""
    # Not by Ansible's template: that escapes nothing by itself, and one value forgotten would be a hole.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(_PAGE)
    )
    environment.filters["duration"] = reports.say_seconds
    environment.filters["size"] = say_size
    environment.filters["right"] = reports.right
    script = (_PAGE / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Whoever takes the documentation out of a collection has a report without its remedies.
    manual = _MANUAL.read_text("utf-8") if _MANUAL.is_file() else ""
    view = reports.view(report, manual)
    return environment.get_template("page.html.j2").render(
        view=view,
        script=Markup(script),
        script_hash=digest,
        style=Markup((_PAGE / "page.css").read_text("utf-8")),
        outcomes=reports.OUTCOMES,
        order={outcome: place for place, outcome in enumerate(reports.OUTCOMES)},
        glyphs=_GLYPHS,
        states=_STATES,
        ids={host["host"]: f"host-{number}" for number, host in enumerate(view["hosts"], start=1)},
        most_named=_MOST_NAMED,
    )


class FilterModule:
    """The filters of a rollout's report."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "rollout_join": rollout_join,
            "rollout_page": rollout_page,
            "rollout_report": rollout_report,
        }
