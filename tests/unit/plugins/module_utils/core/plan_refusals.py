# SPDX-License-Identifier: GPL-3.0-or-later
"""What raises each refusal of a plan that is given as a file, and its whole sentence."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.move import move_errors as errors
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import MoveIntent
from ansible_collections.agnes.host.plugins.module_utils.core.move.plan_facts import facts_of
from ansible_collections.agnes.host.plugins.module_utils.core.move.plan_file import (
    check_given,
    given,
    written,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.pre_move import backup_line
from ansible_collections.agnes.host.plugins.module_utils.move import runner

from .move_refusals import FLAT, NESTED, Case, host_with
from .moving import intent, move_facts_of, with_keys


def file_for(observed: Any, target: str = "flat") -> str:
    """The text of the file that a check run on agnes1 writes."""
    return written(make_plan(observed, {"layout": target}), "agnes1")


def apply(
    observed: Any = None, text: str = "", host: str = "agnes1", layout: str = "", target: str = "flat"
) -> object:  # fmt: skip
    """Apply to a host the plan that agnes1 had for going from nested to flat, unless said otherwise."""
    observed = observed or host_with(NESTED)
    text = text or file_for(host_with(NESTED))
    plan = given({"path": "p.json", "text": text}, host, layout)
    assert plan is not None
    return check_given(plan, observed, make_plan(observed, {"layout": plan.target})["move"])


OTHER_MOVE = intent(facts={"layout": "of another plan"})


def with_one_service_less() -> Any:
    """The host, a service of which has been stopped."""
    observed = host_with(NESTED)
    observed["containers"] = observed["containers"][1:]
    return observed


def carried_out(observed: Any) -> object:
    """What the runner does with a request that was planned on the host as it was before."""
    devices = {"data": "/dev/sdb", "state": "/dev/sdc"}
    request = MoveIntent.from_dict(
        intent(facts=facts_of(host_with(NESTED)), devices=devices, id="")
    )
    with (
        patch.object(runner.ledger, "read_intent", return_value=None),
        patch.object(runner, "product_lock", return_value=nullcontext()),
        patch.object(runner.moving, "look", return_value=move_facts_of(observed)),
        patch.object(runner.host, "observe", return_value=observed),
        patch.object(runner, "new_intent", side_effect=KeyError("a move begins")),
    ):
        return runner.carry_out(request)


PLAN_FILES = [
    Case(
        errors.PlanUnreadable, lambda tmp: given({"path": f"{tmp}/p.json"}, "agnes1", ""),
        "AH074: the file '{tmp}/p.json' is no plan that can be applied (found no file, or an empty "
        "one); make a new plan with a check run, which prints its path",
    ),
    Case(
        errors.PlanForeign, lambda tmp: apply(host="agnes2"),
        "AH075: the plan 'p.json' is for host agnes1, and this run is for host agnes2; a plan is "
        "applied to its own host and layout only: give the right one, or make it with a check run",
    ),
    Case(
        errors.PlanForeign, lambda tmp: apply(layout="nested"),
        "AH075: the plan 'p.json' is for layout flat, and this run is for -e layout=nested; a plan is "
        "applied to its own host and layout only: give the right one, or make it with a check run",
    ),
    Case(
        errors.PlanStale, lambda tmp: apply(with_keys(host_with(NESTED, lines={}), "NEW")),
        "AH076: the plan 'p.json' no longer holds, because this host is not as it was when the plan was "
        "made (changed: mounts, env), so it is not applied; see what changed it, then make a new plan "
        "with a check run",
    ),
    Case(
        errors.PlanStale, lambda tmp: apply(host_with(NESTED, intent=OTHER_MOVE)),
        "AH076: the plan 'p.json' no longer holds, because this host is not as it was when the plan was made "
        "(a move began that is not this one), so it is not applied; run once without a plan, which ends what "
        "was begun, then make a new plan with a check run",
    ),
    Case(
        errors.PlanStale, lambda tmp: carried_out(with_one_service_less()),
        "AH076: this run's plan no longer holds, because this host is not as it was when the plan was "
        "made (changed: services), so it is not applied; see what changed it, then make a new plan with "
        "a check run",
    ),
    Case(
        errors.PlanDone, lambda tmp: apply(host_with(FLAT)),
        "AH077: the plan 'p.json' looks done: this host's state is in layout flat, and there is nothing "
        "to move or mount; run without a plan",
    ),
    Case(
        errors.PreMoveFailed, lambda tmp: backup_line({"configured": True, "result": {"rc": 3}}),
        "AH078: state_layout_pre_move_command ended with code 3 (wanted 0), so no move has begun; run "
        "it by hand on the host to see why, its output is not shown here",
    ),
]  # fmt: skip
