# SPDX-License-Identifier: GPL-3.0-or-later
"""Where going back may start the stack: on the state of before, where it was before, and on nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import Before
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_kinds import (
    COPY,
    COPY_BACK,
    LATE_REMOUNT,
    PROMOTE,
    REMOUNT,
    Kind,
)
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import MoveStatus

from .hosts import mount
from .move_refusals import host_with, one_disk
from .moving import intent, move_facts_of, unmounted

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
OTHER = {**mount("/data/state", "8:64", "u-other"), "fstype": "ext4"}
OURS = {**mount("/data/state", "8:32", "u-state"), "fstype": "ext4"}
FLAT_AT = {**mount("/data-state", "8:32", "u-state"), "fstype": "ext4"}
LINK = {"/data-state": unmounted(), "/data/state": unmounted("link", "/data-state")}
MADE = {"/data-state": unmounted(), "/data/state": unmounted()}
GONE = {"/data/state": unmounted("absent"), "/data-state": unmounted("absent")}
SWAPPED = {"/data/state": unmounted("link", "/etc"), "/data-state": unmounted("absent")}


def status(kind: Kind, back: Any = None, **facts: Any) -> MoveStatus:
    """A move of this kind, not committed; ``back`` is what the intent says of the new place."""
    from_flat = kind in (COPY_BACK, LATE_REMOUNT)
    observed = host_with(FLAT) if from_flat else one_disk() if kind == COPY else host_with(NESTED)
    said = intent(before=Before(point=back or None))
    made = {**move_facts_of(observed), "intent": said, **facts}
    ends = (FLAT, NESTED) if from_flat else (NESTED, FLAT)
    return MoveStatus(*ends, "u-state", made, kind, "m")


@pytest.mark.parametrize(
    ("kind", "back", "facts", "intact"),
    [
        (REMOUNT, "", {}, True),
        (REMOUNT, "", {"points": []}, False),
        (REMOUNT, "", {"points": [OURS, OTHER]}, False),
        (REMOUNT, "", {"points": [OTHER, OURS]}, True),
        (LATE_REMOUNT, "link", {"unmounted": LINK}, True),
        (LATE_REMOUNT, "link", {"unmounted": MADE}, False),
        (LATE_REMOUNT, "link", {"unmounted": MADE, "points": [FLAT_AT, OURS]}, True),
        (LATE_REMOUNT, "absent", {"unmounted": MADE}, True),
        (COPY_BACK, "link", {"unmounted": LINK}, True),
        (COPY_BACK, "link", {"unmounted": MADE}, False),
        (COPY_BACK, "link", {"unmounted": LINK, "points": []}, False),
        (COPY, "", {}, True),
        (COPY, "", {"points": [OURS]}, False),
        (COPY, "", {"points": [OTHER]}, False),
        (COPY, "", {"unmounted": GONE}, False),
        (COPY, "", {"unmounted": SWAPPED}, False),
        (COPY, "", {"roles": {"/data/state": "active"}}, True),
        (COPY, "", {"roles": {"/data/state": "retired"}}, False),
        (PROMOTE, "", {}, True),
        (PROMOTE, "", {"roles": {"/data/state": "incomplete"}}, False),
        (PROMOTE, "", {"roles": {"/data/state": "sealed"}}, False),
        (PROMOTE, "", {"points": []}, True),
        (PROMOTE, "", {"points": [], "unmounted": GONE}, False),
        (PROMOTE, "", {"points": [], "roles": {"/data/state": "retired"}}, False),
    ],
)
def test_intact(kind: Kind, back: str, facts: dict[str, Any], intact: bool) -> None:
    now = status(kind, back, **facts)
    assert not now.committed
    assert now.intact is intact
