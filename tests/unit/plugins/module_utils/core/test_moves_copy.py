# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves that copy: state is a directory of the data disk, and goes to a blank disk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import COPY
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import (
    COMMIT,
    remaining,
    undoable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.moves import plan_move

from .hosts import device, ext4, mount, place
from .move_refusals import covered, one_disk
from .moving import applied, intent, killed_anywhere, move_facts_of, unmounted, with_facts

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
PROOFS = {"overlay", "stage", "precopy", "idle", "quiet", "final", "verify", "seal"}


def begun() -> MoveStatus:
    """The status at the beginning, the intent about to be written."""
    disk = make_plan(one_disk(), {"layout": "flat"})["move"]["disk"]
    return MoveStatus(
        NESTED, FLAT, "u-new", move_facts_of(one_disk()), COPY, "move-1",
        services=frozenset({"app", "extract"}), present=frozenset({"agnes-app-1", "agnes-extract-1"}),
        wanted=frozenset({"app"}), disk=disk,
    )  # fmt: skip


def test_the_plan_says_all_before() -> None:
    plan = make_plan(one_disk(), {"layout": "flat"})
    assert plan["refusal"] == ""
    assert plan["move"]["kind"] == "copy"
    assert plan["move"]["disk"]["action"] == "format"
    assert [step["id"] for step in plan["move"]["steps"]] == [
        "intent", "overlay", "format", "stage", "precopy", "point", "idle", "stop", "quiet", "final",
        "verify", "seal", "fstab", "expose", "commit", "retire", "place", "start", "unstage", "prove",
        "canary", "marker", "record", "forget",
    ]  # fmt: skip
    assert [s["id"] for s in plan["move"]["steps"] if s["down"]] == [
        "stop", "quiet", "final", "verify", "seal", "fstab", "expose", "commit", "retire", "place",
        "start",
    ]  # fmt: skip
    assert [disk["action"] for disk in plan["disks"]] == ["adopt", "directory"]
    assert plan["sentences"][0] == (
        "move state from /data/state (layout nested) to /data-state (layout flat): 10 MiB in 12 "
        "files are copied from the data disk to /dev/sdc, in up to 5 rounds while the stack runs; the "
        "old directory is set aside"
    )
    said = "\n".join(plan["sentences"])
    assert "format /dev/sdc (16 GiB, blank) as ext4 labelled agnes-state" in said
    assert "copy state to it while the stack runs, in up to 5 rounds" in said
    assert (
        "expected downtime: that of 'docker compose down' and 'up' (up to 90 s for a container that "
        "does not end by itself), and about 3 s more to copy the rest, read state and copy whole, and "
        "count rows" in said
    )


def test_a_disk_that_an_earlier_try_formatted_is_used_again_and_not_formatted() -> None:
    observed = one_disk(formatted="u-new")
    observed["devices"][1] = ext4("/dev/sdc", "u-new")
    observed["record"]["disks"] = {"copy": {"uuid": "u-new", "phase": "formatted"}}
    plan = make_plan(observed, {"layout": "flat"})
    assert plan["move"]["disk"]["action"] == "mount"
    assert plan["move"]["uuid"] == "u-new"
    assert "format" not in [step["id"] for step in plan["move"]["steps"]]


def test_a_host_that_gave_a_copy_up_goes_on_as_it_is() -> None:
    observed = one_disk(formatted="u-new")
    observed["devices"][1] = ext4("/dev/sdc", "u-new")
    observed["record"]["disks"] = {"copy": {"uuid": "u-new", "phase": "formatted"}}
    plan = make_plan(observed, {})
    assert plan["layout"] == "nested"
    assert [disk["action"] for disk in plan["disks"]] == ["adopt", "directory"]


def test_another_disk_may_take_the_place_of_one_that_was_never_used() -> None:
    observed = one_disk()
    observed["record"]["disks"] = {"copy": {"uuid": "u-gone", "phase": "formatted"}}
    assert make_plan(observed, {"layout": "flat"})["move"]["disk"]["action"] == "format"


def with_disk(**differs: Any) -> Any:
    observed = one_disk()
    observed["devices"][1] = device("/dev/sdc", serial="S1", **differs)
    return observed


def mounted_elsewhere() -> Any:
    observed = one_disk()
    observed["mounts"].append({**observed["mounts"][0], "target": "/data-state", "uuid": "x",
                               "maj_min": "8:32"})  # fmt: skip
    observed["state"]["/data-state"] = place(mounted=True)
    return observed


@pytest.mark.parametrize(
    ("observed", "code"),
    [
        (with_disk(signatures=["xfs"], filesystem={"type": "xfs", "uuid": "u"}, zeros=False), "AH022"),
        (with_disk(zeros=False), "AH022"),
        (with_disk(size=8 << 20), "AH087"),
        (mounted_elsewhere(), "AH065"),
        (one_disk(unmeasured={"/data/state": "Input/output error"}), "AH166"),
        (one_disk(backend="side_car"), "AH060"),
        (one_disk(config_disk="8:32"), "AH133"),
        (covered("incomplete"), "AH134"),
        (covered("sealed"), "AH134"),
        (one_disk(unmounted={"/data/state": unmounted(), "/data-state": unmounted("link", "/srv")}), "AH065"),
        (one_disk(points=[mount("/data/state/certs", "8:48")]), "AH064"),
    ],
    ids=["signature", "not-zero", "too-small", "mounted", "unmeasured", "backend", "config-disk",
         "incomplete", "sealed", "place", "inside"],
)  # fmt: skip
def test_what_is_not_safe_is_refused_before_anything_is_touched(observed: Any, code: str) -> None:
    assert make_plan(observed, {"layout": "flat"})["code"] == code


def test_the_data_disk_must_be_there() -> None:
    observed = one_disk()
    observed["mounts"] = []
    observed["devices"][0] = ext4("/dev/sdb", "u-data")
    observed["record"]["disks"] = {"data": {"uuid": "u-data", "phase": "formatted"}}
    assert make_plan(observed, {"layout": "flat"})["code"] == "AH006"


def test_undoing_never_formats_or_touches_the_source() -> None:
    undone = undoable(begun())
    assert undone[0] == COMMIT
    assert undone.index("expose") < undone.index("fstab") < undone.index("seal")
    assert undone.index("seal") < undone.index("stop") < undone.index("stage")
    assert not {"retire", "place", "unstage"} & set(undone)


def _check(status: MoveStatus) -> None:
    """One active copy, and a copy that is not proved is not at the layout's place."""
    if not status.committed:
        assert status.unmounted(status.old)["kind"] == "directory"
        assert status.facts["roles"].get(status.old) != "retired"
        if status.mounted(status.new):
            assert "seal" in status.fresh or not status.present
    else:
        assert status.mounted(status.new)
    if status.committed and status.services:
        assert status.superseded


@given(st.data())
def test_killed_anywhere_it_leads_on_to_the_same_place(data: st.DataObject) -> None:
    status = killed_anywhere(begun(), data, 24, _check, PROOFS - {"quiet"})
    assert status.committed
    assert status.placed()
    assert status.services == {"app"}
    assert status.facts["staged"] == ""
    assert status.facts["roles"] == {"/data-state": "active"}


@given(st.integers(0, 24), st.sampled_from(["", "nested", "flat"]))
def test_each_interrupted_state_is_planned_on_or_back(steps: int, asked: str) -> None:
    status = begun()
    said = intent(id="move-1", uuid="u-new", kind="copy", disk=dict(status.disk), services=["app"])
    for step, _phase in remaining(status)[:steps]:
        status = applied(status, step)
    if not status.facts["intent"]:
        return
    observed: Any = one_disk()
    with_facts(observed, **{**status.facts, "intent": said})
    plan = make_plan(observed, {"layout": asked})
    if asked == "nested" and status.committed:
        assert plan["code"] == "AH121"
        return
    assert plan["refusal"] == ""
    assert plan["disks"] == []
    assert plan["move"]["direction"] == ("back" if asked == "nested" else "forward")
    assert plan["layout"] == (asked or "flat")


def test_an_interrupted_copy_has_the_order_of_a_copy() -> None:
    status = begun()
    plan = plan_move(one_disk(), NESTED, FLAT)
    assert list(plan.steps) == COPY.order == remaining(status)
