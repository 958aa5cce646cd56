# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a lease is, and whether its run still runs: asked of real processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ansible_collections.agnes.host.plugins.filter.host import (
    rollout_held,
    rollout_lease_free,
    rollout_run,
)
from ansible_collections.agnes.host.plugins.plugin_utils.controller import own_run, run_state


def lease(**differs: Any) -> str:
    return json.dumps({**own_run(), **differs})


def test_a_run_knows_itself_and_that_it_runs() -> None:
    run = json.loads(rollout_run(""))
    assert run["pid"] == os.getpid() and run["user"] and run["controller"]
    assert run_state(run) == "runs"
    assert not rollout_lease_free(rollout_run(""))
    assert not rollout_lease_free(rollout_run(""), "true")


def test_a_run_that_has_ended_is_known_also_if_its_number_is_used_again() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert rollout_lease_free(lease(pid=done.pid))
    assert rollout_lease_free(lease(begun="1"))


def test_a_run_of_another_machine_is_left_alone_until_an_operator_says_that_it_has_ended() -> None:
    for text in (lease(machine="another"), "{}", "", "no json", "[]", lease(pid="7")):
        assert not rollout_lease_free(text)
        assert not rollout_lease_free(text, "no")
        assert rollout_lease_free(text, "yes")


def test_hosts_that_another_rollout_has_are_named() -> None:
    other = lease(user="ops", controller="ctl-1", pid=7)
    hosts = [
        {"inventory_hostname": "mine", "__rollout_taken": {"stdout": "own"}},
        {"inventory_hostname": "skipped", "__rollout_taken": {"stdout": "own"}, "__rollout_taken_over": {"skipped": True}},
        {
            "inventory_hostname": "taken-over", "__rollout_taken": {"stdout": other},
            "__rollout_taken_over": {"stdout": "own"},
        },
    ]  # fmt: skip
    assert rollout_held(hosts, "own") == ""
    hosts.append({"inventory_hostname": "held", "__rollout_taken": {"stdout": other}})
    assert rollout_held(hosts, "own").startswith(
        "AH209: another rollout has the hosts held: that of ops@ctl-1 ("
    )
