# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks a move that goes on must find mounted, and which of them it mounts first."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import KINDS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_steps import (
    COMMIT,
    ELSEWHERE,
    STEPS,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.presence import (
    Seen,
    late,
    must_show,
)

from .move_refusals import FLAT, NESTED, host_with
from .moving import intent, move_facts_of, with_facts

BOTH = {"/data": "u-data", "/data/state": "u-state"}


def status(kind: str, committed: bool) -> MoveStatus:
    """A move from nested to flat; to copy back, the other way."""
    source, target = (FLAT, NESTED) if kind == "copy_back" else (NESTED, FLAT)
    moving = {**move_facts_of(host_with(source)), "env": (target if committed else source).env()}
    return MoveStatus(source, target, "u-state", moving, KINDS[kind])


@pytest.mark.parametrize(
    ("kind", "committed", "expected"),
    [
        ("remount", False, {"/data": "u-data", "/data/state": "u-state"}),
        ("remount", True, {"/data": "u-data", "/data-state": "u-state"}),
        ("copy", False, {"/data": "u-data"}),
        ("copy", True, {"/data": "u-data", "/data-state": "u-state"}),
        ("copy_back", False, {"/data": "u-data", "/data-state": "u-state"}),
        ("copy_back", True, {"/data": "u-data"}),
        ("promote", False, {"/data": "u-data"}),
        ("promote", True, {"/data": "u-data", "/data-state": "u-state"}),
    ],
)
def test_what_must_show(kind: str, committed: bool, expected: dict[str, str]) -> None:
    assert must_show(status(kind, committed), "u-data") == expected


@pytest.mark.parametrize(
    ("shown", "attached", "listed", "expected"),
    [
        (BOTH, ["u-data", "u-state"], BOTH, []),
        ({}, ["u-data", "u-state"], BOTH, [("/data", "u-data"), ("/data/state", "u-state")]),
        ({"/data": "u-data"}, ["u-data", "u-state"], BOTH, [("/data/state", "u-state")]),
        (
            {"/data/state": "u-state"},
            ["u-data", "u-state"],
            BOTH,
            [("/data", "u-data"), ("/data/state", "u-state")],
        ),
        ({"/data": "u-data"}, ["u-data"], BOTH, "AH135"),
        ({"/data": "u-data", "/data/state": "u-old"}, ["u-data", "u-state"], BOTH, "AH169"),
        ({"/data": "u-data", "/data/state": ""}, ["u-data", "u-state"], BOTH, "AH169"),
        ({"/data": "u-data"}, ["u-data", "u-state"], {"/data"}, "AH136"),
        ({"/data": "u-data"}, ["u-data", "u-state", "u-state"], BOTH, "AH138"),
    ],
)
def test_what_came_too_late_is_mounted_or_told(
    shown: dict[str, str], attached: list[str], listed: Any, expected: Any
) -> None:
    try:
        to_mount: Any = late(status("remount", False), "u-data", Seen(shown, attached, listed))
    except Refusal as refusal:
        to_mount = refusal.code
    assert to_mount == expected


def test_a_disk_that_state_has_left_is_mounted_only_where_it_is_there_and_listed() -> None:
    left, data = status("copy_back", True), {"/data": "u-data"}
    attached = ["u-data", "u-state"]
    listed = {"/data", "/data-state"}
    assert late(left, "u-data", Seen(data, attached, listed)) == [("/data-state", "u-state")]
    assert late(left, "u-data", Seen(data, ["u-data"], listed)) == []
    assert late(left, "u-data", Seen(data, attached, {"/data"})) == []


def test_the_plan_says_what_is_mounted_first() -> None:
    observed = host_with(NESTED)
    observed["fstab"] = [
        {"line": 1, "maj_min": "", "mount_point": path, "spec": f"UUID={uuid}"}
        for path, uuid in BOTH.items()
    ]
    observed["mounts"] = []
    with_facts(observed, intent=intent())
    plan = make_plan(observed)
    assert plan["refusal"] == ""
    assert plan["sentences"][:2] == [
        f"mount the disk with UUID {uuid} at {path} by its line in /etc/fstab: it is attached, but "
        "not mounted"
        for path, uuid in BOTH.items()
    ]


def test_steps_that_write_elsewhere_are_steps_and_the_commit_is_none_of_them() -> None:
    assert set(STEPS) > ELSEWHERE
    assert not ELSEWHERE & {COMMIT, "point", "put", "place", "retire", "start", "mount", "expose"}
    assert set(LAYOUTS) == {"nested", "flat"}
