# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.host.summary import summarise

from .hosts import flat_host, one_disk_host

STACK = {
    "services": {"scheduler": "running (no health check)", "app": "healthy"},
    "proved": {"agnes-scheduler-1": ["/data-state"], "agnes-app-1": ["/data-state"]},
    "unproved": {"agnes-extract-1": "it has ended, as it should"},
}


def test_summary_of_a_flat_host() -> None:
    plan = make_plan(flat_host())
    assert summarise(plan, STACK, "https://agnes.example.org") == [
        "layout     flat, STATE_DIR=/data-state, overlay docker-compose.flat-mount.yml",
        "disk       data: /dev/sdX at /data",
        "disk       state: /dev/sdX at /data-state",
        "service    app: healthy",
        "service    scheduler: running (no health check)",
        "proof      data and state are on their disks, as seen inside of 2 containers: agnes-app-1, "
        "agnes-scheduler-1",
        "no proof   agnes-extract-1: it has ended, as it should",
        "url        https://agnes.example.org",
    ]


def test_summary_of_a_host_with_one_disk_before_its_stack() -> None:
    assert summarise(make_plan(one_disk_host()), {}) == [
        "layout     nested, STATE_DIR=/data/state, overlay docker-compose.host-mount.yml",
        "disk       data: /dev/sdX at /data",
        "disk       state: (a directory of the data disk) at /data/state",
    ]


def test_a_check_run_of_a_move_says_which_place_is_before_it_and_which_after_it() -> None:
    """Without that, plan and summary would name two places for one state disk."""
    plan = make_plan(flat_host(), {"layout": "nested"})
    assert plan["sentences"][-3:] == [
        "layout nested (-e layout=): state in /data/state after the move",
        "keep /data as it is mounted (UUID u-data)",
        "keep /data-state as it is mounted (UUID u-state), until the move",
    ]
    assert summarise(plan, {}, check=True) == [
        "layout     nested, STATE_DIR=/data/state, overlay docker-compose.host-mount.yml (after the move)",
        "disk       data: /dev/sdX at /data",
        "disk       state: /dev/sdX at /data-state (until the move)",
    ]


def test_summary_names_first_what_was_changed_and_a_move_in_one_line() -> None:
    steps = [
        {"what": f"move: {step}", "before": "to be done", "after": "x"} for step in ("stop", "up")
    ]
    others = [{"what": f"/f{n}", "before": "absent", "after": "there"} for n in range(14)]
    plan = make_plan(flat_host())
    for check, label in ((False, "changed   "), (True, "to change ")):
        said = summarise(plan, {}, "", [*others[:1], *steps, *others[1:]], check)
        assert said[:2] == [
            f"{label} the place of state: a move in 2 steps",
            f"{label} /f0: absent -> there",
        ]
        assert said[13] == f"{label} and 2 more"
