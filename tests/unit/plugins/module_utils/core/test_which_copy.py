# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody but the operator decides, for one host and the evidence that was shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.copy.copy_errors import (
    DecisionUnusable,
    ShadowConflict,
)
from ansible_collections.agnes.host.plugins.module_utils.core.copy.manifest import Entry
from ansible_collections.agnes.host.plugins.module_utils.core.disks import which_copy
from ansible_collections.agnes.host.plugins.module_utils.core.disks.shadow import classify
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .move_refusals import SHADOWED, host_with, shadowed_at
from .shadows import USED, shadow

PATH = "/data/state"


def decide(evidence: Any, *decisions: str, moves: bool = True) -> str:
    return which_copy.decide(PATH, {PATH: evidence}, decisions, "agnes1", moves)


CONFLICT = shadow({}, USED)
NOW = which_copy.digest(CONFLICT)


@pytest.mark.parametrize("copy", ["mounted", "shadowed"])
def test_a_decision_for_this_host_and_this_evidence_counts(copy: str) -> None:
    assert decide(CONFLICT, f"agnes1:{copy}:{NOW}") == copy
    assert decide(CONFLICT, "agnes2:shadowed:0", f"agnes1:{copy}:{NOW}") == copy


@pytest.mark.parametrize(
    "decisions",
    [
        [],
        [f"agnes2:shadowed:{NOW}"],
        [f"agnes11:shadowed:{NOW}"],
        [f"*:shadowed:{NOW}"],
        ["shadowed"],
        [f"shadowed:{NOW}"],
    ],
    ids=str,
)
def test_a_decision_for_another_host_or_for_all_decides_nothing(decisions: list[str]) -> None:
    with pytest.raises(ShadowConflict, match=f"agnes1:shadowed:{NOW}"):
        decide(CONFLICT, *decisions)


@pytest.mark.parametrize(
    "decisions",
    [
        ["agnes1:shadowed:00000000"],
        ["agnes1:shadowed"],
        ["agnes1:shadowed:"],
        [f"agnes1:newer:{NOW}"],
        [f"agnes1:shadowed:{NOW}", f"agnes1:mounted:{NOW}"],
    ],
    ids=str,
)
def test_a_decision_that_is_none_or_about_other_evidence_is_refused(decisions: list[str]) -> None:
    with pytest.raises(DecisionUnusable, match=f"wanted agnes1:mounted:{NOW}"):
        decide(CONFLICT, *decisions)


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"role": "active"}, {}), ({}, {"opened": []}), (USED, {}), ({}, {"database": False}),
    ({"rows": {"main.rows": 4}}, {}), ({"newest": "2026-01-02 03:04:06"}, {}), ({"bytes": 11}, {}),
    ({"device": "/dev/sdd"}, {}), ({"epoch": 2}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("mounted", "shadowed"), CHANGES, ids=str)
def test_other_evidence_needs_another_decision(
    mounted: dict[str, Any], shadowed: dict[str, Any]
) -> None:
    # Seen by nobody else, so that taking the one user away shows.
    base = shadow({}, {"opened": ["app"]})
    changed = shadow(mounted, {"opened": ["app"], **shadowed})
    assert which_copy.digest(changed) != which_copy.digest(base)


def test_what_a_running_container_writes_does_not_change_the_evidence() -> None:
    later = shadow(
        {}, {**USED, "bytes": 99, "newest": "2027", "files": 9, "rows": {}},
        counts={"same": 0}, names=["'x' differ"],
    )  # fmt: skip
    assert which_copy.digest(later) == NOW


def test_equal_copies_and_leftovers_need_no_decision() -> None:
    assert decide(shadow({}, {}, conflicts=0)) == "mounted"
    assert which_copy.decide(PATH, {}, [], "agnes1", moves=True) == ""


def test_what_could_not_be_compared_is_a_conflict() -> None:
    evidence = {**shadow({}, {}, trouble="no"), "mounted": None, "shadowed": None}
    with pytest.raises(ShadowConflict, match="could not be compared: no"):
        decide(evidence)


PLAIN: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (USED, {}, True), ({"role": "active"}, {}, True), ({}, {}, False),
    (USED, {"seen": ["scheduler"]}, False), ({"role": "active"}, USED, False),
]  # fmt: skip


@pytest.mark.parametrize(("mounted", "shadowed", "goes_on"), PLAIN, ids=str)
def test_a_run_that_moves_nothing_goes_on_only_where_the_mounted_copy_is_in_use(
    mounted: dict[str, Any], shadowed: dict[str, Any], goes_on: bool
) -> None:
    evidence = shadow(mounted, shadowed)
    now = which_copy.digest(evidence)
    if goes_on:
        assert decide(evidence, moves=False) == ""
    else:
        with pytest.raises(ShadowConflict, match="a layout to move to"):
            decide(evidence, moves=False)
    assert decide(evidence, f"agnes1:mounted:{now}", moves=False) == "mounted"
    with pytest.raises(ShadowConflict, match="a layout to move to"):
        decide(evidence, f"agnes1:shadowed:{now}", moves=False)


def observed(evidence: Any) -> Any:
    made = host_with(
        LAYOUTS["nested"], unmounted=shadowed_at(PATH, SHADOWED), shadows={PATH: evidence}
    )
    return made


def test_a_plain_run_notes_what_it_leaves_shadowed() -> None:
    plan = make_plan(observed(shadow(USED, {})), {"host": "agnes1"})
    assert plan["refusal"] == ""
    assert "the mount at /data/state shadows what may be a second copy" in plan["notes"][-1]
    assert "only shadowed" in plan["sentences"][-1]


def test_a_move_is_planned_only_with_a_decision() -> None:
    request: dict[str, Any] = {"host": "agnes1", "layout": "flat"}
    refused = make_plan(observed(CONFLICT), request)
    assert refused["code"] == "AH089"
    decision = f"agnes1:mounted:{NOW}"
    for said in (decision, [decision], f"agnes2:shadowed:1,{decision}"):
        plan = make_plan(observed(CONFLICT), {**request, "authority": said})
        assert plan["move"]["copy_that_counts"] == "mounted"
        assert not any("second copy" in each for each in plan["notes"])


def test_the_plan_says_who_is_stopped_on_the_copy_that_does_not_count() -> None:
    request = {"host": "agnes1", "layout": "flat", "authority": f"agnes1:mounted:{NOW}"}
    said = make_plan(observed(CONFLICT), request)["sentences"]
    assert any("app, scheduler work with it, are stopped in the move" in each for each in said)


NAMES = st.sampled_from([b"system.duckdb", b"a.lock", b"certs", b"certs/k", b".jwt_secret", b"t"])
TREES = st.dictionaries(NAMES, st.sampled_from(["x", "y"]), max_size=6)


def tree(contents: dict[bytes, str]) -> dict[bytes, Entry]:
    return {p: Entry(p, "file", size=1, content=c) for p, c in contents.items()}


@given(TREES, TREES)
def test_no_shadowed_content_is_passed_over(
    shadowed: dict[bytes, str], mounted: dict[bytes, str]
) -> None:
    """Without a conflict, all shadowed content is mounted as well, but for leftovers."""
    classified = classify(tree(shadowed).values(), tree(mounted))
    _counts, _names, stand = which_copy.compared(classified)
    lacking = [p for p, content in shadowed.items() if mounted.get(p) != content]
    assert stand == len(lacking)


def test_the_numbers_are_about_state_and_not_about_what_comes_by_itself() -> None:
    entries = tree(dict.fromkeys((b"system.duckdb", b"agnes-state-applier.tick", b"c.lock"), "x"))
    marker = {b".agnes-state.json": Entry(b".agnes-state.json", "file")}
    counted = which_copy.counted({**entries, **marker}.values(), [b"c.lock"])
    assert [entry.path for entry in counted] == [b"system.duckdb"]
