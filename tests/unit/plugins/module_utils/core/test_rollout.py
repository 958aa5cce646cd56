# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a rollout."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.rollout import (
    _COPYING,
    lines,
    stages,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS


def member(deployment: str = "acme", **differs: Any) -> dict[str, Any]:
    return {
        "deployment": deployment, "canary": False, "refusal": "", "layout": "flat", "changes": [],
        "move": {}, "disks": [], "right": False,
        **differs,
    }  # fmt: skip


MOVE = {
    "source": "nested", "target": "flat", "direction": "forward", "downtime": "short",
    "steps": [{"id": "stop"}, {"id": "start"}],
}  # fmt: skip


def test_each_deployment_has_one_canary_and_refused_hosts_are_left_out() -> None:
    hosts = {
        "a1": member(refusal="AH022: no"),
        "a2": member(),
        "a3": member(canary=True),
        "g1": member("globex"),
        "g2": member("globex", layout=None),
    }
    assert stages(hosts) == {
        "a1": "refused", "a2": "wave", "a3": "canary", "g1": "canary", "g2": "undecided",
    }  # fmt: skip


def test_a_host_that_is_right_is_a_canary_only_where_it_is_asked_to_be() -> None:
    hosts = {
        "a1": member(right=True), "a2": member(), "a3": member(),
        "g1": member("globex"), "g2": member("globex", right=True, canary=True),
        "i1": member("initech", right=True), "i2": member("initech", right=True, refusal="AH022: no"),
    }  # fmt: skip
    assert stages(hosts) == {
        "a1": "check", "a2": "canary", "a3": "wave", "g1": "wave", "g2": "canary", "i1": "check", "i2": "refused",
    }  # fmt: skip


COPY = {**MOVE, "steps": [{"id": "precopy"}, {"id": "stop"}, {"id": "final"}], "bytes": 3 << 29}


def test_lines() -> None:
    changes = [{"what": f"step {number}"} for number in range(6)]
    hosts = {
        "a1": member(changes=changes, disks=["format", "mount"]),
        "a2": member(refusal="AH022: refusing"),
        "a3": member(changes=changes[:1], move=MOVE),
        "a4": member(move={**MOVE, "direction": "back", "downtime": "none"}),
        "a5": member(changes=changes[:2], disks=["keep"]),
        "a6": member(move=COPY, disks=["format"]),
        "long-1": member("globex", layout=None),
    }
    assert lines(hosts) == [
        "HOST    DEPLOYMENT  STAGE      DOES         COPIES   WHAT, AND WHY",
        "a1      acme        canary     format       -        flat: 6 changes: step 0, step 1, step 2, step 3 and 2 more",
        "a2      acme        refused    refuse       -        AH022: refusing",
        "a3      acme        wave       move         -        flat: move state from layout nested (2 steps; downtime: short), and 1 change: step 0",
        "a4      acme        wave       move         -        flat: give up the move to layout flat (2 steps; downtime: none)",
        "a5      acme        wave       change       -        flat: 2 changes: step 0, step 1",
        "a6      acme        wave       format+copy  1.5 GiB  flat: move state from layout nested (3 steps; downtime: short)",
        "long-1  globex      undecided  nothing      -        no layout: nothing to change",
        "7 hosts: format 2, move 2, copy 1, change 1, refuse 1, nothing 1",
    ]


def test_a_copy_that_is_given_up_copies_nothing() -> None:
    given_up = {"a1": member(move={**COPY, "direction": "back"})}
    assert lines(given_up)[1].split()[3:5] == ["move", "-"]


@pytest.mark.parametrize("name", [*KINDS])
def test_a_kind_has_a_step_that_copies_if_it_copies(name: str) -> None:
    kind = KINDS[name]
    assert kind.copies == any(step in _COPYING for step, _phase in kind.order)


@given(
    st.dictionaries(
        st.text("abc", min_size=1),
        st.builds(
            member,
            deployment=st.sampled_from(["acme", "globex"]),
            canary=st.booleans(),
            refusal=st.sampled_from(["", "AH001"]),
            layout=st.sampled_from([None, "flat"]),
            right=st.booleans(),
        ),
    )
)
def test_no_deployment_is_rolled_out_without_one_canary(hosts: dict[str, Any]) -> None:
    stage_of = stages(hosts)
    for deployment in {host["deployment"] for host in hosts.values()}:
        of = [stage_of[name] for name, host in hosts.items() if host["deployment"] == deployment]
        assert of.count("canary") <= 1
        assert "wave" not in of or "canary" in of
