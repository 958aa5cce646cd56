# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode announced, what the real run did, and how little a run on a right host costs."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import records

SCENARIO = os.environ["MOLECULE_SCENARIO_NAME"]
MOST_CALLS = 2
"""One call is the observation; what it could not know is asked by the one task whose matter it is."""


def test_check_mode_announced_exactly_what_the_real_run_did(
    name: str, facts: dict[str, Any]
) -> None:
    announced = records.actions(records.read(SCENARIO, "check"), name, check=True)
    done = records.actions(records.read(SCENARIO, "converge"), name)
    assert sorted(announced - done) == [], "announced, but not done"
    assert sorted(done - announced) == [], "done, but not announced"
    assert bool(done) == (facts.get("lab_changes", "some") == "some"), sorted(done)


def test_check_mode_met_the_same_hosts_as_the_real_run(name: str) -> None:
    announced, done = (
        records.hosts(records.read(SCENARIO, step)) for step in ("check", "converge")
    )
    assert announced == done
    assert name in done


def test_each_change_is_told_by_an_action(name: str) -> None:
    for step in ("check", "converge"):
        for record in records.read(SCENARIO, step):
            if record["host"] == name:
                assert record["changed"] == bool(record["actions"]), record


def test_a_run_on_a_host_that_is_right_makes_few_calls_and_changes_nothing(name: str) -> None:
    again = records.read(SCENARIO, "idempotence")
    calls = records.calls(again, name)
    # A run that made no call at all would prove nothing.
    assert "agnes.host.observe" in calls
    assert len(calls) <= MOST_CALLS, Counter(calls)
    assert not [record for record in again if record["changed"]]
