# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters make of the variables of hosts; they run on the controller alone."""

from __future__ import annotations

from ansible_collections.agnes.host.plugins.filter.host import rollout

NOT_PLANNED = "the host was not reached, or its plan failed"


def test_a_host_whose_plan_has_not_come_to_its_end_is_no_host_with_nothing_to_change() -> None:
    planned = {"__rollout_plan": {"layout": "flat", "move": {}}}
    rolled_out = rollout(
        [
            {"inventory_hostname": "away"},
            {"inventory_hostname": "half", "__disks_done": {"actions": []}},
            {"inventory_hostname": "good", **planned},
            {"inventory_hostname": "bad", "__rollout_refusal": "AH022: no"},
        ]
    )
    assert {name: host["stage"] for name, host in rolled_out["planned"].items()} == {
        "away": "refused", "half": "refused", "good": "canary", "bad": "refused",
    }  # fmt: skip
    assert rolled_out["lines"] == [
        "HOST  DEPLOYMENT  STAGE    DOES     COPIES  WHAT, AND WHY",
        f"away  agnes       refused  refuse   -       not planned: {NOT_PLANNED}",
        f"half  agnes       refused  refuse   -       not planned: {NOT_PLANNED}",
        "good  agnes       canary   nothing  -       flat: nothing to change",
        "bad   agnes       refused  refuse   -       AH022: no",
        "4 hosts: refuse 3, nothing 1",
    ]
