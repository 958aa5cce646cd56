# SPDX-License-Identifier: GPL-3.0-or-later
"""Protected mount points: which a run makes immutable, and that this alone hides no refusal."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks import protection
from ansible_collections.agnes.host.plugins.module_utils.core.host.parts import said
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import ext4, flat_host
from .test_parts import RECORD, parts

SENTENCE = "make the mount point /data-state itself immutable"


def plan_of(state: str, **differs: Any) -> dict[str, Any]:
    """The plan of a flat host that is right, but for the state disk's mount point itself."""
    states = {"/data": protection.IMMUTABLE, "/data-state": state}
    return make_plan(
        flat_host(**{"record": RECORD, "parts": parts(), "protection": states, **differs}), {}
    )


@pytest.mark.parametrize(
    ("state", "needs"),
    [
        (protection.WRITABLE, ["disks"]),
        (protection.IMMUTABLE, []),
        (protection.FILLED, []),
        (protection.UNABLE, []),
        (protection.UNKNOWN, []),
    ],
)
def test_a_mount_point_that_can_be_immutable_is_to_be(state: str, needs: list[str]) -> None:
    plan = plan_of(state)
    assert plan["needs"] == needs
    assert (SENTENCE in plan["sentences"]) == bool(needs)


def test_what_refuses_still_stops_the_run_before_a_mount_point_is_changed() -> None:
    refuses = parts(stack=said(refusal="AH147: a mount shadows files", code="AH147"))
    assert plan_of(protection.WRITABLE, parts=refuses)["code"] == "AH147"


def test_a_disk_that_is_yet_to_be_mounted_is_protected_with_that() -> None:
    away = {"mounts": [], "devices": [ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state")]}
    assert SENTENCE not in plan_of(protection.WRITABLE, **away)["sentences"]


@pytest.mark.parametrize("state", ["immutable", "writable", "filled", "unable", "unknown"])
def test_each_state_is_said_in_its_own_words(state: str) -> None:
    others = {"immutable", "writable", "filled", "unable", "unknown"} - {state}
    assert protection.say(state) not in {protection.say(other) for other in others}
