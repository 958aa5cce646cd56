# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS, Layout
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import (
    LATE_REMOUNT,
    REMOUNT,
    remount,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import (
    COMMIT,
    STEPS,
    remaining,
    undoable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.moves import (
    MovePlan,
    interrupted,
    plan_move,
)

from .hosts import container, holds
from .move_refusals import host_with
from .moving import intent, killed_anywhere, leftover, move_facts_of, stepped, unmounted, with_facts

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
BOTH_WAYS = [pytest.param(NESTED, FLAT, id="to-flat"), pytest.param(FLAT, NESTED, id="to-nested")]


def begun(source: Layout, target: Layout) -> MoveStatus:
    """The status at the beginning of a move whose intent is about to be written."""
    return MoveStatus(
        source, target, "u-state", move_facts_of(host_with(source)), remount(source, target), "move-1",
        services=frozenset({"app", "extract"}), present=frozenset({"agnes-app-1", "agnes-extract-1"}),
        wanted=frozenset({"app"}),
    )  # fmt: skip


def test_to_flat_all_but_the_flip_happens_before_the_stop() -> None:
    assert [step for step, phase in REMOUNT.order if phase == "down"] == [
        "stop", "quiet", "commit", "umount", "line", "place", "start",
    ]  # fmt: skip


def test_to_nested_the_link_in_use_is_replaced_only_while_the_stack_is_down() -> None:
    assert [step for step, phase in LATE_REMOUNT.order if phase == "down"] == [
        "stop", "quiet", "point", "fstab", "mount", "commit", "umount", "line", "place", "start",
    ]  # fmt: skip


COPY_ONLY = {
    "format", "stage", "precopy", "final", "verify", "seal", "expose", "retire", "unstage", "nest", "claim", "put",
    "unlist", "reveal", "aside", "whole",
}  # fmt: skip


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_every_step_of_the_order_is_in_the_registry_once(source: Layout, target: Layout) -> None:
    steps = remount(source, target).steps
    assert len(set(steps)) == len(steps)
    assert set(steps) <= set(STEPS)
    assert set(STEPS) - set(steps) <= COPY_ONLY


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_only_steps_up_to_the_commit_are_undone_and_the_last_comes_first(
    source: Layout, target: Layout
) -> None:
    undone = undoable(begun(source, target))
    assert undone[0] == COMMIT
    assert undone[-2:] == ["overlay", "intent"]
    assert not {"umount", "line", "place", "start"} & set(undone)


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_a_plan_says_its_steps_first_and_adopts_both_disks(source: Layout, target: Layout) -> None:
    plan = make_plan(host_with(source), {"layout": target.name})
    assert plan["refusal"] == ""
    assert plan["move"]["direction"] == "forward"
    assert [step["id"] for step in plan["move"]["steps"]] == remount(source, target).steps
    assert [disk["action"] for disk in plan["disks"]] == ["adopt", "adopt"]
    assert plan["sentences"][0] == (
        f"move state from {source.mounts['state']} (layout {source.name}) to "
        f"{target.mounts['state']} (layout {target.name}): 10 MiB stay where they are on the "
        "state disk, only its mount point moves"
    )
    assert plan["sentences"][-5].startswith("expected downtime: that of 'docker compose down'")


def test_a_run_without_a_layout_moves_nothing() -> None:
    assert make_plan(host_with(NESTED), {})["move"] == {}


HARMLESS = unmounted(
    "directory", "",
    leftover("instance.yaml", size=30, stub=True), leftover("agnes-state-applier.tick"),
    leftover("db-state-applier.lock"), leftover("certs", "directory"),
)  # fmt: skip


def test_what_the_products_scripts_leave_by_themselves_is_no_shadowed_state() -> None:
    assert plan_move(
        host_with(
            NESTED, unmounted={**host_with(NESTED)["moving"]["unmounted"], "/data/state": HARMLESS}
        ),
        NESTED,
        FLAT,
    ).steps


def _check(status: MoveStatus) -> None:
    """Never zero, never two active copies: .env names one place, and the state disk is there."""
    named = [
        each
        for each in (status.source, status.target)
        if status.facts["env"].get("STATE_DIR", "/data/state") == each.state_dir
    ]
    assert len(named) == 1
    assert status.mounted(named[0].mounts["state"])
    assert {point["uuid"] for point in status.facts["points"]} == {"u-state"}


@given(st.booleans(), st.data())
def test_killed_anywhere_it_leads_on_to_the_same_place_and_then_nothing_remains(
    flat: bool, data: st.DataObject
) -> None:
    source, target = (NESTED, FLAT) if flat else (FLAT, NESTED)
    status = killed_anywhere(begun(source, target), data, 20, _check)
    assert status.committed
    assert status.placed()
    assert status.services == {"app"}
    assert not status.mounted(status.old)
    assert status.facts["intent"] is None


@given(st.booleans(), st.integers(0, 20), st.sampled_from(["", "nested", "flat"]))
def test_each_interrupted_state_is_planned_on_or_back(flat: bool, steps: int, asked: str) -> None:
    source, target = (NESTED, FLAT) if flat else (FLAT, NESTED)
    status = begun(source, target)
    said = intent(source.name, target.name, id="move-1")
    for step, _phase in remaining(status)[:steps]:
        status = stepped(status, step)
    if not status.facts["intent"]:
        return
    observed: Any = host_with(source)
    with_facts(observed, **{**status.facts, "intent": said})
    plan = make_plan(observed, {"layout": asked})
    assert plan["refusal"] == ""
    assert plan["disks"] == []
    move = plan["move"]
    if asked == source.name:
        wanted = (target, source, "forward") if status.committed else (source, target, "back")
    else:
        wanted = (source, target, "forward")
    assert (move["source"], move["target"], move["direction"]) == (
        wanted[0].name, wanted[1].name, wanted[2],
    )  # fmt: skip
    assert plan["layout"] == (asked or target.name)


def test_a_disk_at_both_places_without_an_intent_is_a_move_to_where_env_points() -> None:
    observed = host_with(FLAT)
    second = {**observed["mounts"][1], "target": "/data/state"}
    observed["mounts"].append(second)
    assert interrupted(observed) == (NESTED, FLAT)


@pytest.mark.parametrize(("source", "target"), BOTH_WAYS)
def test_no_step_of_a_plan_formats_or_copies(source: Layout, target: Layout) -> None:
    plan = make_plan(host_with(source), {"layout": target.name})
    said = " ".join(plan["sentences"]).lower()
    assert "format" not in said
    assert "copy" not in said


def test_a_plan_back_says_what_it_gives_up() -> None:
    plan = MovePlan(begun(NESTED, FLAT), "back", (("intent", "back"),))
    assert plan.sentences() == [
        "give up the move to layout flat, which has not been committed: bring everything back to "
        "/data/state, and start the services that ran before"
    ]
    assert plan.downtime == "none"


DATA = {"type": "bind", "source": "/data", "target": "/data"}
APP = {"volumes": [DATA], "paths": {"DATA_DIR": "/data"}, "tmpfs": [], "volumes_from": []}


def planned_with(containers: list[Any], services: Any) -> dict[str, Any]:
    """The plan of a move to flat of a host with these containers and services."""
    observed = host_with(NESTED)
    observed.update(containers=containers)
    observed["project"].update(services=services)
    return make_plan(observed, {"layout": "flat"})


TEST_FORESEEN: list[Any] = [
    pytest.param(
        [container("app", name="run-1", one_off=True, mounts=[holds("/data")])], {"app": APP},
        "AH146", id="one-off-runs",
    ),
    pytest.param([container("old", "exited")], {"app": APP}, "AH148", id="stray-service"),
    pytest.param(
        [container("app")], {"app": {**APP, "tmpfs": ["/data-state"]}}, "AH052", id="tmpfs"
    ),
    pytest.param(
        [container("app")],
        {"app": APP, "x": {**APP, "volumes": [
            DATA, {"type": "volume", "source": "v", "target": "/data-state"}]}},
        "AH052", id="volume",
    ),
    pytest.param([container("app")], {"app": APP}, "", id="nothing"),
    pytest.param([container("app")], None, "", id="compose-can-not-tell"),
    pytest.param(
        [container("app", "exited", one_off=True, mounts=[holds("/data")])], {"app": APP}, "",
        id="one-off-has-ended",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("containers", "services", "code"), TEST_FORESEEN)
def test_what_the_steps_would_meet_is_in_the_plan(
    containers: list[Any], services: Any, code: str
) -> None:
    assert planned_with(containers, services)["code"] == code


def test_who_will_not_see_state_is_in_the_plan() -> None:
    caddy = {"volumes": [{**DATA, "target": "/srv", "read_only": True}], "paths": {}}
    plan = planned_with([container("app")], {"app": APP, "caddy": caddy})
    assert plan["notes"] == [
        "service 'caddy' has the data disk at /srv: in layout flat state is not in it"
    ]
    assert f"note: {plan['notes'][0]}" in plan["sentences"]
    unknown = planned_with([container("app")], None)
    assert "checked only in the move" in unknown["notes"][0]


def test_a_move_starts_what_is_up_and_leaves_the_rest() -> None:
    """One that starts again and again is up: the runner of the move starts it, too."""
    containers = [container("app"), container("bot", "restarting"), container("job", "exited")]
    plan = planned_with(containers, {"app": APP, "bot": APP, "job": APP})
    assert plan["move"]["starts"] == ["app", "bot"]
    assert plan["move"]["left_stopped"] == ["job"]


def test_one_offs_are_no_service_of_a_move() -> None:
    ended = container("app", "exited", name="run-1", one_off=True)
    plan = planned_with([container("app"), ended], {"app": APP})
    assert plan["move"]["left_stopped"] == []
    assert plan["move"]["facts"] == planned_with([container("app")], {"app": APP})["move"]["facts"]
