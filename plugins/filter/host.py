# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's decisions as filters; each is documented in a file of its name beside this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

import yaml
from ansible.errors import AnsibleError
from jinja2 import UndefinedError

from ansible_collections.agnes.host.plugins.module_utils.core.host import rollout as rollouts
from ansible_collections.agnes.host.plugins.module_utils.core.host.summary import summarise

_RESULTS = (
    "__disks_done",
    "__state_layout_done",
    "__agnes_compose_kept",
    "__agnes_compose_started",
    "__agnes_compose_served",
)
"""Where the roles leave what their modules did, in the order of the run; a move is in the plan."""

_NOT_PLANNED = "not planned: the host was not reached, or its plan failed"


def _planned(host: Mapping[str, Any]) -> dict[str, Any]:
    """What a rollout needs of a host's variables after a check run of the roles."""
    plan = host.get("rollout_plan")
    refusal = str(host.get("rollout_refusal") or ("" if plan else _NOT_PLANNED))
    results = [host.get(name) or {} for name in _RESULTS]
    return {
        "deployment": str(host.get("agnes_deployment") or "agnes"),
        "canary": _yes(_said(host, "rollout_canary")),
        "refusal": refusal,
        "layout": (plan or {}).get("layout"),
        "move": (plan or {}).get("move") or {},
        "disks": (plan or {}).get("disks") or [],
        "changes": [action for result in results for action in result.get("actions") or []],
    }


def rollout(hosts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The stage of each host, and a line for each."""
    planned = {str(host["inventory_hostname"]): _planned(host) for host in hosts}
    return {"stages": rollouts.stages(planned), "lines": rollouts.lines(planned)}


def _specs() -> dict[str, dict[str, Any]]:
    """Role -> what its variables are; read here, on the controller, from where each role says it."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(__file__).parents[2].glob("roles/*/meta/argument_specs.yml")):
        points = yaml.safe_load(path.read_text("utf-8"))["argument_specs"]
        found[path.parents[1].name] = {
            name: option for point in points.values() for name, option in point["options"].items()
        }
    return found


def _said(host: Mapping[str, Any], name: str, default: str = "") -> str:
    """A variable as text, or nothing where it can't be resolved: the role that reads it will say so."""
    try:
        return str(host.get(name, default) or "")
    except (AnsibleError, UndefinedError):
        return ""


def _yes(said: str) -> bool:
    """Whether a variable is on; an INI inventory and -e give texts."""
    return said.lower() in ("true", "yes", "on", "1")


def inventory(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each mistake in what an inventory says of its hosts."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host import inventory as said

    specs = _specs()
    options = {name: option for spec in specs.values() for name, option in spec.items()}
    devices = {name: options[name]["default"] for name in (said.DATA, said.STATE)}
    found = {
        str(host["inventory_hostname"]): {
            "names": [str(name) for name in host],
            "groups": [str(name) for name in host.get("group_names") or []],
            "deployment": _said(host, said.DEPLOYMENT),
            "canary": _yes(_said(host, said.CANARY)),
            "devices": {name: _said(host, name, default) for name, default in devices.items()},
        }
        for host in hosts
    }  # fmt: skip
    return said.problems(found, [*options, *rollouts.VARIABLES], [f"{role}_" for role in specs])


def _read(value: Any) -> Any:
    """The value with each of its parts read once: Ansible looks at what it hands out at each access anew."""
    if isinstance(value, Mapping):
        return {key: _read(each) for key, each in value.items()}
    return [_read(each) for each in value] if isinstance(value, (list, tuple)) else value


def plan(host: Any, request: Optional[Mapping[str, Any]] = None, **more: Any) -> dict[str, Any]:
    """What a run would do, or the refusal, as data."""
    # Here: each task that uses any of the filters loads this file anew, and the planner is most of the core.
    from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

    return make_plan(_read(host), _read({**(request or {}), **more}))


def findings(
    observed: Mapping[str, Any], plan: Mapping[str, Any], inventory: str = "", reason: str = ""
) -> dict[str, Any]:
    """What an audit has found on a host, also where it was not reached or not looked at."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host.audit import audited

    return audited(_read(observed), _read(plan), inventory, reason)


def audit(hosts: Iterable[Mapping[str, Any]], fail_on: str = "error") -> dict[str, Any]:
    """The table and the report of a fleet, and the hosts for which the run fails."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host import audit_report

    found = {
        str(host["inventory_hostname"]): audit_report.audited_of(host.get("audit_found"))
        for host in hosts
    }
    return {
        "lines": audit_report.lines(found),
        "report": audit_report.report(found),
        "failed": audit_report.fails(found, fail_on),
    }


def metrics(found: Mapping[str, Any]) -> str:
    """The text of a host's metrics."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host import audit_report

    return audit_report.metrics(found, int(time.time()))


def plan_file(plan: Mapping[str, Any], host: str) -> str:
    """The text of the file from which a later run applies this plan."""
    from ansible_collections.agnes.host.plugins.module_utils.core.move.plan_file import written

    return written(plan, host)


class FilterModule:
    """The filters of agnes.host."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name -> filter."""
        return {
            "audit": audit,
            "findings": findings,
            "inventory": inventory,
            "metrics": metrics,
            "plan": plan,
            "plan_file": plan_file,
            "rollout": rollout,
            "summary": summarise,
        }
