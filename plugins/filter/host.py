# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's decisions as filters; each is documented in a file of its name beside this one."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import yaml
from ansible.errors import AnsibleError
from jinja2 import UndefinedError

from ansible_collections.agnes.host.plugins.module_utils.core.host import rollout as rollouts
from ansible_collections.agnes.host.plugins.module_utils.core.host import waves
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
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
    plan = host.get("__rollout_plan")
    refusal = " ".join(str(host.get("__rollout_refusal") or ("" if plan else _NOT_PLANNED)).split())
    results = [host.get(name) or {} for name in _RESULTS]
    return {
        "deployment": str(host.get("agnes_deployment") or "agnes"),
        "canary": _yes(_said(host, "rollout_canary")),
        "refusal": refusal,
        "layout": (plan or {}).get("layout"),
        "right": not refusal and bool((plan or {}).get("right")),
        "move": (plan or {}).get("move") or {},
        "disks": (plan or {}).get("disks") or [],
        "changes": [action for result in results for action in result.get("actions") or []],
    }


def rollout(hosts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The table of what would be done, the waves, and what is known before the first of them."""
    known = list(hosts)
    plans = {str(host["inventory_hostname"]): _planned(host) for host in known}
    stages = rollouts.stages(plans)
    planned = {
        name: {
            **{key: host[key] for key in ("deployment", "refusal", "right")},
            "stage": stages[name],
            **rollouts.row(host),
        }
        for name, host in plans.items()
    }
    said = _settings(known)
    return {
        "lines": rollouts.lines(plans),
        "planned": planned,
        "waves": waves.waves(planned, said),
        "settings": dataclasses.asdict(said),
    }


def _settings(hosts: Sequence[Mapping[str, Any]]) -> waves.Settings:
    """Those of the run: what its first host has; the stop file with its whole path."""
    first = hosts[0] if hosts else {}
    said = waves.settings({name: first.get(name) for name in waves.SETTINGS})
    path = said.stop_file and os.path.abspath(os.path.expanduser(said.stop_file))
    return dataclasses.replace(said, stop_file=path)


def rollout_run(_unread: Any) -> str:
    """This run, as the text of its lease."""
    from ansible_collections.agnes.host.plugins.plugin_utils.controller import own_run

    return json.dumps(own_run(), sort_keys=True)


def _lease(text: str) -> dict[str, Any]:
    try:
        lease = json.loads(text)
    except ValueError:
        return {}
    return lease if isinstance(lease, dict) else {}


def rollout_lease_free(lease: str, take_over: Any = False) -> bool:
    """Whether the lease of another run may be taken over."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host.lease import is_free
    from ansible_collections.agnes.host.plugins.plugin_utils.controller import run_state

    return is_free(run_state(_lease(lease)), _yes(str(take_over)))


def rollout_held(hosts: Iterable[Mapping[str, Any]], own: str) -> str:
    """Why a rollout must not begin: another one has hosts; empty if none does."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host.lease import held

    leases = {
        str(host["inventory_hostname"]): str(taken["stdout"])
        for host in hosts
        for taken in (host.get("__rollout_taken"), host.get("__rollout_taken_over"))
        if taken and "stdout" in taken
    }
    return held({host: _lease(lease) for host, lease in leases.items() if lease != own})


def rollout_halt(result: Mapping[str, Any], rollout: Mapping[str, Any]) -> str:
    """Why the next wave must not begin; empty if it may."""
    said = waves.Settings(**rollout["settings"])
    stopped = said.stop_file != "" and os.path.lexists(said.stop_file)
    return waves.halted(said, result["hosts"], stopped, time.strftime("%H:%M"))


def rollout_result(
    hosts: Iterable[Mapping[str, Any]],
    rollout: Mapping[str, Any],
    reached: Collection[str],
    times: Optional[Mapping[str, Sequence[str]]] = None,
    halt: str = "",
    ended: bool = False,
) -> dict[str, Any]:
    """What is known of a rollout; times: wave -> when it began, and when it ended if it has."""
    said = {
        str(host["inventory_hostname"]): {
            "turn": host.get("__rollout_turn") or {},
            "downtime": (host.get("__state_layout_moved") or {}).get("down_seconds"),
        }
        for host in hosts
    }
    return waves.result(
        rollout["planned"], rollout["waves"], said, reached, times or {},
        rollout["settings"]["max_failures"], halt, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), ended,
    )  # fmt: skip


def rollout_images(stack: Mapping[str, Any], wanted: str = "", turned: bool = False) -> str:
    """Why the images of a host are not the wanted ones; empty if they are, or before a turn if that is not known."""
    from ansible_collections.agnes.host.plugins.module_utils.core.compose import images

    used = stack.get("images") or {}
    try:
        images.check_wanted(used, wanted)
        if turned:
            images.check_running(used)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _specs() -> dict[str, dict[str, Any]]:
    """Role -> what its variables are; read here, on the controller, from where each role says it."""
    specs: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(__file__).parents[2].glob("roles/*/meta/argument_specs.yml")):
        points = yaml.safe_load(path.read_text("utf-8"))["argument_specs"]
        specs[path.parents[1].name] = {
            name: option for point in points.values() for name, option in point["options"].items()
        }
    return specs


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

    specs, listed = _specs(), list(hosts)
    options = {name: option for spec in specs.values() for name, option in spec.items()}
    devices = {name: options[name]["default"] for name in (said.DATA, said.STATE)}
    by_host = {
        str(host["inventory_hostname"]): {
            "names": [str(name) for name in host],
            "groups": [str(name) for name in host.get("group_names") or []],
            "deployment": _said(host, said.DEPLOYMENT),
            "canary": _yes(_said(host, said.CANARY)),
            "devices": {name: _said(host, name, default) for name, default in devices.items()},
        }
        for host in listed
    }  # fmt: skip
    known = [*options, *waves.VARIABLES]
    problems = said.problems(by_host, known, [*(f"{role}_" for role in specs), "rollout_"])
    try:
        _settings(listed)
    except Refusal as refusal:
        problems.append(str(refusal))
    return problems


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

    audited = {
        str(host["inventory_hostname"]): audit_report.audited_of(host.get("audit_found"))
        for host in hosts
    }
    return {
        "lines": audit_report.lines(audited),
        "report": audit_report.report(audited),
        "failed": audit_report.fails(audited, fail_on),
    }


def metrics(audited: Mapping[str, Any]) -> str:
    """The text of a host's metrics."""
    from ansible_collections.agnes.host.plugins.module_utils.core.host import audit_report

    return audit_report.metrics(audited, int(time.time()))


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
            "rollout_halt": rollout_halt,
            "rollout_held": rollout_held,
            "rollout_images": rollout_images,
            "rollout_lease_free": rollout_lease_free,
            "rollout_result": rollout_result,
            "rollout_run": rollout_run,
            "summary": summarise,
        }
