# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a rollout."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.agnes.host.plugins.module_utils.core.host.rollout import lines, stages


def member(deployment: str = "acme", **differs: Any) -> dict[str, Any]:
    return {
        "deployment": deployment, "canary": False, "refusal": "", "layout": "flat", "changes": [],
        "move": {},
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


def test_lines() -> None:
    changes = [{"what": f"step {number}"} for number in range(6)]
    hosts = {
        "a1": member(changes=changes),
        "a2": member(refusal="AH022: refusing"),
        "a3": member(changes=changes[:1], move=MOVE),
        "a4": member(move={**MOVE, "direction": "back", "downtime": "none"}),
        "long-1": member("globex", layout=None),
    }
    assert lines(hosts) == [
        "a1      acme  canary     flat: 6 changes: step 0, step 1, step 2, step 3 and 2 more",
        "a2      acme  refused    AH022: refusing",
        "a3      acme  wave       flat: move state from layout nested (2 steps; downtime: short), and 1 change: step 0",
        "a4      acme  wave       flat: give up the move to layout flat (2 steps; downtime: none)",
        "long-1  globex  undecided  no layout: nothing to change",
    ]


@given(
    st.dictionaries(
        st.text("abc", min_size=1),
        st.builds(
            member,
            deployment=st.sampled_from(["acme", "globex"]),
            canary=st.booleans(),
            refusal=st.sampled_from(["", "AH001"]),
            layout=st.sampled_from([None, "flat"]),
        ),
    )
)
def test_no_deployment_is_rolled_out_without_one_canary(hosts: dict[str, Any]) -> None:
    found = stages(hosts)
    for deployment in {host["deployment"] for host in hosts.values()}:
        of = [found[name] for name, host in hosts.items() if host["deployment"] == deployment]
        assert of.count("canary") == (1 if {"canary", "wave"} & set(of) else 0)
