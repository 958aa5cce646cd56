# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's decisions as filters; each is documented in a file of its name beside this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional

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
        "canary": bool(host.get("rollout_canary")),
        "refusal": refusal,
        "layout": (plan or {}).get("layout"),
        "move": (plan or {}).get("move") or {},
        "changes": [action for result in results for action in result.get("actions") or []],
    }


def rollout(hosts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The stage of each host, and a line for each."""
    planned = {str(host["inventory_hostname"]): _planned(host) for host in hosts}
    return {"stages": rollouts.stages(planned), "lines": rollouts.lines(planned)}


def plan(host: Any, request: Optional[Mapping[str, Any]] = None, **more: Any) -> dict[str, Any]:
    """What a run would do, or the refusal, as data."""
    # Here: each task that uses any of the filters loads this file anew, and the planner is most of the core.
    from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

    return make_plan(host, {**(request or {}), **more})


def findings(
    observed: Mapping[str, Any], plan: Mapping[str, Any], inventory: str = "", reason: str = ""
) -> dict[str, Any]:
    """What an audit has found on a host, also where it was not reached or not looked at."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host.audit import audited

    return audited(observed, plan, inventory, reason)


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
            "metrics": metrics,
            "plan": plan,
            "plan_file": plan_file,
            "rollout": rollout,
            "summary": summarise,
        }
