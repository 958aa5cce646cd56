# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a filesystem grows to its disk: tables of sizes, settings and what is on the disk."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.growing import decide, setting
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.host.tools import PACKAGES

from .hosts import GIB, device, ext4, flat_host, mount, nested_host

MIB = 1 << 20
HAD = {"size": 8 * GIB}

DECISIONS: list[tuple[str, str, dict[str, Any], int, dict[str, Any], int, str]] = [
    ("grown", "auto", {}, 8 * GIB, HAD, 8 * GIB, ""),
    ("grown, asked for", "true", {}, 8 * GIB, HAD, 8 * GIB, ""),
    ("grown, not wanted", "false", {}, 8 * GIB, HAD, 0, "disks_grow: true grows"),
    ("as large as its disk", "true", {}, 16 * GIB, HAD, 0, ""),
    ("a few MiB", "true", {}, 16 * GIB - 63 * MIB, HAD, 0, ""),
    ("not known", "true", {}, 0, HAD, 0, ""),
    # Made smaller than its disk, which may be meant.
    ("never grown", "auto", {}, 8 * GIB, {"size": 16 * GIB}, 0, "/data has 8 GiB of the 16 GiB of"),
    ("never recorded", "auto", {}, 8 * GIB, {}, 0, "disks_grow: true grows"),
    ("never grown, asked for", "true", {}, 8 * GIB, {"size": 16 * GIB}, 8 * GIB, ""),
    ("a logical volume", "auto", {"kind": "dm"}, 8 * GIB, HAD, 0, "disks_grow: true grows"),
    ("a logical volume, asked for", "true", {"kind": "dm"}, 8 * GIB, HAD, 8 * GIB, ""),
    ("partitions", "true", {"partitions": ["sdb1"]}, 8 * GIB, HAD, 0, "has partitions (sdb1)"),
]


@pytest.mark.parametrize(
    ("asked", "differs", "size", "recorded", "grows", "note"),
    [case[1:] for case in DECISIONS],
    ids=[case[0] for case in DECISIONS],
)
def test_what_grows(
    asked: str, differs: dict[str, Any], size: int, recorded: dict[str, Any], grows: int, note: str
) -> None:
    disk, mounted = ext4("/dev/sdb", "u", **differs), mount("/data", "8:16", "u")
    decided = decide(asked, mounted, disk, [disk], size, recorded)  # type: ignore[arg-type]
    assert decided[0] == grows
    assert note in decided[1]
    assert bool(decided[1]) is bool(note)


@pytest.mark.parametrize(
    ("differs", "note"), [({"fstype": "btrfs"}, "btrfs is not"), ({"root": "/a"}, "a directory of")]
)
def test_what_never_grows_says_why(differs: dict[str, str], note: str) -> None:
    disk, mounted = ext4("/dev/sdb", "u"), {**mount("/data", "8:16", "u"), **differs}
    grows, said = decide("true", mounted, disk, [disk], 8 * GIB, HAD)  # type: ignore[arg-type]
    assert grows == 0
    assert note in said


def test_of_a_partition_it_is_said_what_is_not_done() -> None:
    disk = device("/dev/sdb", size=20 * GIB, partitions=["sdb1"])
    part = ext4("/dev/sdb1", "u", kind="part", size=16 * GIB)
    mounted: Any = mount("/data", "8:48", "u")
    grows, said = decide("true", mounted, part, [disk, part], 16 * GIB, {})
    assert grows == 0
    assert "/dev/sdb has 20 GiB, its partitions have 16 GiB: a partition is not grown here" in said
    assert decide("true", mounted, part, [{**disk, "size": 16 * GIB}, part], 16 * GIB, {}) == (
        0,
        "",
    )


@pytest.mark.parametrize(
    ("value", "meant"),
    [(True, "true"), ("True", "true"), (False, "false"), ("auto", "auto"), (None, "auto"), ("", "auto")],
)  # fmt: skip
def test_a_boolean_is_an_answer_too(value: Any, meant: str) -> None:
    assert setting(value) == meant


RECORD = {
    "format": 1,
    "disks": {
        "data": {"uuid": "u-data", "phase": "formatted", "size": 16 * GIB},
        "state": {"uuid": "u-state", "phase": "formatted", "size": 8 * GIB},
    },
}


@pytest.mark.parametrize(
    ("make", "point"), [(flat_host, "/data-state"), (nested_host, "/data/state")]
)
def test_the_plan_says_it_before_it_is_done_in_either_layout(make: Any, point: str) -> None:
    host = make(record=RECORD, room={"/data": 16 * GIB, point: 8 * GIB})
    plan = make_plan(host, {})
    assert plan["refusal"] == ""
    grown = "and grow its filesystem from 8 GiB to the 16 GiB of /dev/sdX"
    assert [grown in said for said in plan["sentences"] if said.startswith("keep ")] == [
        False,
        True,
    ]
    assert "disks" in plan["needs"]
    assert not plan["touches_disks"]

    still = make_plan(host, {"grow": "false"})
    assert not any(grown in said for said in still["sentences"])
    assert any("disks_grow: true" in said for said in still["notes"])
    assert "disks" not in still["needs"]


def test_the_tool_is_asked_for_before_anything_is_changed() -> None:
    tools = {name: f"/sbin/{name}" for name in PACKAGES if name != "resize2fs"}
    host = flat_host(record=RECORD, room={"/data": 16 * GIB, "/data-state": 8 * GIB}, tools=tools)
    assert make_plan(host, {"grow": "false"})["refusal"] == ""
    assert "resize2fs" in make_plan(host, {"grow": "auto"})["refusal"]
