# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves that copy the other way: state is on a disk in layout flat, and goes into a directory of the data disk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import COPY_BACK
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import (
    COMMIT,
    remaining,
    undoable,
)

from .hosts import device, env, ext4, host, place
from .move_refusals import host_with, left_behind, one_disk
from .moving import applied, intent, killed_anywhere, leftover, move_facts_of, unmounted, with_facts

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
ASKED = {"layout": "nested", "state_on": "directory"}
PROOFS = {"overlay", "nest", "precopy", "idle", "quiet", "final", "verify", "seal", "claim", "put"}


def flat(**moving: Any) -> Any:
    """A flat host that runs, its state disk marked as it is."""
    return host_with(FLAT, **{"roles": {"/data-state": "active"}, **moving})


def begun() -> MoveStatus:
    """The status at the beginning, the intent about to be written."""
    return MoveStatus(
        FLAT, NESTED, "u-state", move_facts_of(flat()), COPY_BACK, "move-1",
        services=frozenset({"app", "extract"}), present=frozenset({"agnes-app-1", "agnes-extract-1"}),
        wanted=frozenset({"app"}), disk=make_plan(flat(), ASKED)["move"]["disk"],
    )  # fmt: skip


def test_the_plan_says_all_before() -> None:
    plan = make_plan(flat(), ASKED)
    assert plan["refusal"] == ""
    assert plan["move"]["kind"] == "copy_back"
    assert plan["move"]["uuid"] == "u-state"
    assert (plan["move"]["disk"]["role"], plan["move"]["disk"]["uuid"]) == ("data", "u-data")
    assert [step["id"] for step in plan["move"]["steps"]] == [
        "intent", "overlay", "nest", "precopy", "idle", "stop", "quiet", "final", "verify", "seal",
        "claim", "put", "commit", "retire", "umount", "line", "place", "start", "unstage", "prove", "canary",
        "marker", "record", "forget",
    ]  # fmt: skip
    assert [s["id"] for s in plan["move"]["steps"] if s["down"]] == [
        "stop", "quiet", "final", "verify", "seal", "claim", "put", "commit", "retire", "umount",
        "line", "place", "start",
    ]  # fmt: skip
    assert [disk["action"] for disk in plan["disks"]] == ["adopt", "adopt"]
    assert plan["sentences"][0] == (
        "move state from /data-state (layout flat) to /data/state (layout nested): 10 MiB in 12 files "
        "are copied from the state disk to a directory of the data disk, /dev/sdX, in up to 5 rounds "
        "while the stack runs; the state disk is unmounted, and keeps what it has"
    )
    said = "\n".join(plan["sentences"])
    assert "expected downtime: that of 'docker compose down' and 'up'" in said
    assert "about 3 s more to copy the rest" in said
    assert "format" not in said


def test_without_being_asked_for_the_disk_goes_with_the_state() -> None:
    assert make_plan(flat(), {"layout": "nested"})["move"]["kind"] == "late_remount"
    assert (
        make_plan(flat(), {"layout": "nested", "state_on": "disk"})["move"]["kind"]
        == "late_remount"
    )


def test_a_layout_that_is_not_named_moves_nothing_here_either() -> None:
    assert make_plan(flat(), {"state_on": "directory"})["code"] == "AH130"
    assert make_plan(flat(), {"state_on": "disk"})["move"] == {}


def ended(**differs: Any) -> Any:
    """The host afterwards: the state disk is still there, named, and nobody's."""
    made = left_behind()
    made.update(differs)
    return made


@pytest.mark.parametrize("state_on", ["", "directory"])
def test_afterwards_the_disk_that_was_left_is_neither_mounted_nor_formatted(state_on: str) -> None:
    for request in ({"state_on": state_on}, {"state_on": state_on, "layout": "nested"}):
        plan = make_plan(ended(), request)
        assert plan["refusal"] == ""
        assert plan["move"] == {}
        assert [disk["action"] for disk in plan["disks"]] == ["adopt", "directory"]
        assert plan["mounted"] == ["/data"]
        assert not plan["touches_disks"]


def test_going_forward_again_to_that_disk_needs_consent() -> None:
    assert make_plan(ended(), {"layout": "flat"})["code"] == "AH132"
    consent = {"device": "/dev/sdc", "identity": "serial:S1", "found": "ext4"}
    plan = make_plan(ended(), {"layout": "flat", "format": [consent]})
    assert plan["refusal"] == ""
    assert (plan["move"]["kind"], plan["move"]["disk"]["lost"]) == ("copy", "ext4")
    blank = ended()
    blank["devices"][1] = device("/dev/sdc", serial="S1")
    assert make_plan(blank, {"layout": "flat"})["move"]["kind"] == "copy"


def test_another_disk_that_is_not_blank_is_not_taken_for_the_one_that_was_left() -> None:
    other = ended()
    other["devices"][1] = ext4("/dev/sdc", "u-other", serial="S1")
    assert make_plan(other, {"layout": "flat"})["code"] == "AH022"


def covered() -> Any:
    """Somebody has mounted the disk that was left over the directory."""
    made = host_with(NESTED)
    marker = {"format": 1, "role": "retired"}
    made["state"]["/data/state"] = place(mounted=True, names=["system.duckdb"], marker=marker)
    made["record"]["move"] = {"target": "nested"}
    return made


def test_what_was_left_is_never_taken_for_state_whoever_mounts_it() -> None:
    plan = make_plan(covered(), {})
    assert plan["code"] == "AH122"
    assert plan["refusal"].endswith("make both lead to the state at '/data/state' again")


@pytest.mark.parametrize(
    ("state_on", "asked", "action"),
    [("", True, "format"), ("disk", True, "format"), ("directory", True, "directory"),
     ("", False, "directory"), ("directory", False, "directory")],
)  # fmt: skip
def test_a_new_host_gets_what_is_asked_for(state_on: str, asked: bool, action: str) -> None:
    observed = host()
    if not asked:
        observed["asked"]["state"] = {"device": "", "problem": "", "maj_min": ""}
    plan = make_plan(observed, {"state_on": state_on})
    assert plan["refusal"] == ""
    assert plan["disks"][1]["action"] == action


def no_disk_named() -> Any:
    observed: Any = host()
    observed["asked"]["state"] = {"device": "", "problem": "", "maj_min": ""}
    return observed


def own_disk_unmounted() -> Any:
    """Nothing shows but by the record, which does not say where the disk was."""
    observed: Any = host()
    observed["devices"].append(ext4("/dev/sdd", "u-state"))
    observed["record"]["disks"]["state"] = {"uuid": "u-state", "phase": "formatted"}
    return observed


def with_place(there: dict[str, Any]) -> Any:
    return flat(unmounted={"/data-state": unmounted(), "/data/state": there})


def no_uuid() -> Any:
    observed = flat()
    observed["mounts"][0]["uuid"] = ""
    return observed


@pytest.mark.parametrize(
    ("observed", "request_", "code"),
    [
        (flat(), {"layout": "nested", "state_on": "dirctory"}, "AH130"),
        (flat(), {"layout": "flat", "state_on": "directory"}, "AH130"),
        (no_disk_named(), {"state_on": "disk"}, "AH130"),
        (host_with(NESTED), ASKED, "AH131"),
        (one_disk(), {"state_on": "disk"}, "AH131"),
        (own_disk_unmounted(), {"state_on": "directory"}, "AH131"),
        (flat(config_disk="8:32"), ASKED, "AH133"),
        (flat(free=10 << 20), ASKED, "AH087"),
        (flat(free_inodes=11), ASKED, "AH087"),
        (flat(free=0, unmeasured={"/data": "Input/output error"}), ASKED, "AH166"),
        (flat(backend="side_car"), ASKED, "AH060"),
        (flat(roles={"/data-state": "retired"}), ASKED, "AH122"),
        (with_place(unmounted("directory", "", leftover("system.duckdb", size=1))), ASKED, "AH065"),
        (with_place(unmounted("link", "/srv")), ASKED, "AH124"),
        (flat(others=["backup-1"]), ASKED, "AH063"),
        (no_uuid(), ASKED, "AH006"),
    ],
)
def test_what_is_not_safe_is_refused_before_anything_is_touched(
    observed: Any, request_: dict[str, Any], code: str
) -> None:
    assert make_plan(observed, request_)["code"] == code


def test_another_config_disk_and_inodes_made_as_needed_are_no_hindrance() -> None:
    assert make_plan(flat(config_disk="8:99", free_inodes=-1), ASKED)["refusal"] == ""


def test_what_shows_the_copy_is_undone_before_the_stack_starts() -> None:
    undone = undoable(begun())
    acts = [
        step
        for step in undone
        if step in (COMMIT, "put", "claim", "seal", "stop", "nest", "intent")
    ]
    assert acts == [COMMIT, "put", "claim", "seal", "stop", "nest", "intent"]
    assert not {"retire", "umount", "line", "place"} & set(undone)


def _check(status: MoveStatus) -> None:
    """One place holds state; the disk is mounted until .env names the directory, which nothing covers."""
    assert not status.mounted(status.new)
    if not status.committed:
        assert status.mounted(status.old)
        assert status.facts["roles"][status.old] == "active"
        if status.unmounted(status.new)["kind"] == "directory":
            assert "seal" in status.fresh or not status.present
    else:
        assert status.there
        if status.services:
            assert not status.mounted(status.old)


@given(st.data())
def test_killed_anywhere_it_leads_on_to_the_same_place(data: st.DataObject) -> None:
    status = killed_anywhere(begun(), data, 23, _check, PROOFS - {"quiet"})
    assert status.committed
    assert status.placed()
    assert status.services == {"app"}
    assert status.facts["staged"] == ""
    assert status.facts["roles"] == {"/data/state": "active"}
    assert status.facts["points"] == []


@given(st.integers(0, 23), st.sampled_from(["", "nested", "flat"]), st.booleans())
def test_each_interrupted_state_is_planned_on_or_back(steps: int, asked: str, boot: bool) -> None:
    status = begun()
    said = intent(
        "flat",
        "nested",
        id="move-1",
        uuid="u-state",
        kind="copy_back",
        disk=dict(status.disk),
        services=["app"],
    )
    for step, _phase in remaining(status)[:steps]:
        status = applied(status, step)
    if not status.facts["intent"]:
        return
    observed: Any = flat()
    with_facts(observed, **{**status.facts, "intent": said})
    if boot:
        observed["moving"]["staged"] = ""
    plan = make_plan(observed, {"layout": asked})
    if asked == "flat" and status.committed:
        assert plan["code"] == "AH121"
        return
    assert plan["refusal"] == ""
    assert plan["disks"] == []
    assert plan["move"]["kind"] == "copy_back"
    assert plan["move"]["direction"] == ("back" if asked == "flat" else "forward")
    assert plan["layout"] == (asked or "nested")


def test_the_order_is_that_of_the_registry() -> None:
    assert remaining(begun()) == COPY_BACK.order


def test_env_names_one_place_only() -> None:
    assert make_plan(one_disk_again(), {})["layout"] == "nested"


def one_disk_again() -> Any:
    """After the move, told by .env without STATE_DIR."""
    return ended(env=env(DATA_DIR="/data", COMPOSE_FILE=f"a.yml:{NESTED.overlay}"))
