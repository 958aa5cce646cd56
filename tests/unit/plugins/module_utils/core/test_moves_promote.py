# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves where the state that the state disk's mount shadows counts: it is copied to that disk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.disks import which_copy
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout import switch
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import PROMOTE
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import undoable

from .move_refusals import SHADOWED, host_with, shadowed_at
from .moving import killed_anywhere, move_facts_of
from .shadows import USED, shadow

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
PATH = "/data/state"


def planned(shadowed: dict[str, Any], **moving: Any) -> dict[str, Any]:
    """The plan where the operator has named the shadowed copy."""
    evidence = shadow({}, {**USED, **shadowed})
    facts = {"unmounted": shadowed_at(PATH, SHADOWED), "shadows": {PATH: evidence}, **moving}
    decision = f"agnes1:shadowed:{which_copy.digest(evidence)}"
    request = {"host": "agnes1", "layout": "flat", "authority": decision}
    return make_plan(host_with(NESTED, **facts), request)


def test_the_plan_says_what_becomes_of_both_copies() -> None:
    plan = planned({"bytes": 3 << 20})
    assert plan["refusal"] == ""
    move = plan["move"]
    assert (move["kind"], move["copy_that_counts"], move["uuid"]) == (
        "promote",
        "shadowed",
        "u-state",
    )
    assert move["disk"]["uuid"] == "u-state"
    assert move["disk"]["mount_point"] == "/data-state"
    assert [step["id"] for step in move["steps"]] == PROMOTE.steps
    assert "3 MiB that the mount shadows are copied to" in plan["sentences"][0]
    assert any("the shadowed copy of /data/state counts" in s for s in plan["sentences"])
    assert "to copy state whole" in move["downtime"]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"database": False}, {}, "AH086"),
    ({"role": "retired"}, {}, "AH122"),
    ({}, {"config_disk": "8:32"}, "AH133"),
    ({"bytes": 1 << 40}, {}, "AH087"),
    ({"bytes": 6 << 30}, {"used": 9 << 30}, "AH087"),
]


def test_another_config_disk_is_no_hindrance() -> None:
    assert planned({}, config_disk="8:99")["refusal"] == ""


@pytest.mark.parametrize(("shadowed", "moving", "code"), REFUSED)
def test_what_is_no_state_or_has_no_room_is_refused(
    shadowed: dict[str, Any], moving: dict[str, Any], code: str
) -> None:
    assert planned(shadowed, **moving)["code"] == code


def begun() -> MoveStatus:
    return MoveStatus(
        NESTED, FLAT, "u-state", move_facts_of(host_with(NESTED, unmounted=shadowed_at(PATH, SHADOWED))), PROMOTE, "move-1",
        services=frozenset({"app"}), present=frozenset({"agnes-app-1"}), wanted=frozenset({"app"}),
        copy_that_counts="shadowed",
    )  # fmt: skip


def test_from_the_stop_on_no_boot_shows_the_copy_that_does_not_count() -> None:
    steps = PROMOTE.steps
    assert steps.index("unlist") < steps.index("stop") < steps.index("reveal")
    assert (
        steps.index("quiet") < steps.index("reveal") < steps.index("aside") < steps.index("stage")
    )
    undone = undoable(begun())
    assert undone.index("stop") < undone.index("unlist")


def _check(status: MoveStatus) -> None:
    """What .env names is the state, or is shadowed by a mount that nobody starts on."""
    if status.committed:
        assert status.mounted("/data-state")
    elif "/data-state" in status.facts["lines"]:
        assert status.trusted or "stage" not in status.fresh
    if not status.present and not status.committed:
        assert PATH not in status.facts["lines"]


@given(st.data())
def test_killed_anywhere_it_leads_on_to_the_same_place(data: st.DataObject) -> None:
    status = killed_anywhere(begun(), data, 25, _check)
    assert status.committed
    assert status.placed()
    assert {point["target"] for point in status.facts["points"]} == {"/data-state"}
    assert status.facts["intent"] is None


LINE = "LABEL=agnes-state /data/state ext4 nofail 0 2"
OURS = "UUID=u /data/state ext4 nofail,x-agnes.host=state 0 2"


@pytest.mark.parametrize("line", [LINE, OURS, ""])
def test_a_line_that_was_taken_out_comes_back(line: str) -> None:
    before = f"# a comment\n{line}\nproc /proc proc defaults 0 0\n" if line else "# a comment\n"
    assert switch.line_at(before, PATH) == line
    without = switch.without_line(before, PATH, "/data-state")
    after = switch.with_line_back(without, PATH, "/data-state", line)
    assert sorted(after.splitlines()) == sorted(before.splitlines())
    assert switch.with_line_back(after, PATH, "/data-state", line) == after
    if line == LINE:
        assert after == before
