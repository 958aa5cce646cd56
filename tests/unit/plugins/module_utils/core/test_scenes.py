# SPDX-License-Identifier: GPL-3.0-or-later
"""Where going back may start the stack: on the state of before, where it was before, and on nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.scenes import (
    COPY,
    GATHER,
    REMOUNT,
    UNCOVER,
    Scene,
)

from .hosts import mount
from .move_refusals import host_with, one_disk
from .moving import bare

NESTED, FLAT = LAYOUTS["nested"], LAYOUTS["flat"]
OTHER = {**mount("/data/state", "8:64", "u-other"), "fstype": "ext4"}
OURS = {**mount("/data/state", "8:32", "u-state"), "fstype": "ext4"}
FLAT_AT = {**mount("/data-state", "8:32", "u-state"), "fstype": "ext4"}
LINK = {"/data-state": bare(), "/data/state": bare("link", "/data-state")}
MADE = {"/data-state": bare(), "/data/state": bare()}
GONE = {"/data/state": bare("absent"), "/data-state": bare("absent")}
SWAPPED = {"/data/state": bare("link", "/etc"), "/data-state": bare("absent")}


def scene(kind: str, back: Any = None, **facts: Any) -> Scene:
    """A move of this kind, not committed; ``back`` is what the intent says of the new place."""
    from_flat = kind in (GATHER, "late")
    observed = host_with(FLAT) if from_flat else one_disk() if kind == COPY else host_with(NESTED)
    fence = {"id": "m", "point_was": back or "absent"}
    made = {**observed["moving"], "fence": fence, **facts}
    ends = (FLAT, NESTED) if from_flat else (NESTED, FLAT)
    return Scene(*ends, "u-state", made, "m", kind=REMOUNT if kind == "late" else kind)


@pytest.mark.parametrize(
    ("kind", "back", "facts", "intact"),
    [
        (REMOUNT, "", {}, True),
        (REMOUNT, "", {"points": []}, False),
        (REMOUNT, "", {"points": [OURS, OTHER]}, False),
        (REMOUNT, "", {"points": [OTHER, OURS]}, True),
        ("late", "link", {"bare": LINK}, True),
        ("late", "link", {"bare": MADE}, False),
        ("late", "link", {"bare": MADE, "points": [FLAT_AT, OURS]}, True),
        ("late", "absent", {"bare": MADE}, True),
        (GATHER, "link", {"bare": LINK}, True),
        (GATHER, "link", {"bare": MADE}, False),
        (GATHER, "link", {"bare": LINK, "points": []}, False),
        (COPY, "", {}, True),
        (COPY, "", {"points": [OURS]}, False),
        (COPY, "", {"points": [OTHER]}, False),
        (COPY, "", {"bare": GONE}, False),
        (COPY, "", {"bare": SWAPPED}, False),
        (COPY, "", {"roles": {"/data/state": "active"}}, True),
        (COPY, "", {"roles": {"/data/state": "retired"}}, False),
        (UNCOVER, "", {}, True),
        (UNCOVER, "", {"roles": {"/data/state": "incomplete"}}, False),
        (UNCOVER, "", {"roles": {"/data/state": "sealed"}}, False),
        (UNCOVER, "", {"points": []}, True),
        (UNCOVER, "", {"points": [], "bare": GONE}, False),
        (UNCOVER, "", {"points": [], "roles": {"/data/state": "retired"}}, False),
    ],
)
def test_intact(kind: str, back: str, facts: dict[str, Any], intact: bool) -> None:
    found = scene(kind, back, **facts)
    assert not found.committed
    assert found.intact is intact
