# SPDX-License-Identifier: GPL-3.0-or-later
"""How new state is: when a marker's number is behind the host's."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import (
    NewerFormat,
    Unreadable,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.generation import (
    check_kept,
    following,
    is_older,
    number,
)

from .hosts import ext4, flat_host, inside, one_disk_host, place

KEPT = {"format": 1, "generation": 6, "at": "2026-03-01 10:00:00"}

AGES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("equal", {"role": "active", "generation": 6}, KEPT, False),
    # The disk is written first: a power cut in between leaves it ahead.
    ("ahead", {"role": "active", "generation": 7}, KEPT, False),
    ("behind", {"role": "active", "generation": 5}, KEPT, True),
    ("from before it was counted", {"role": "active"}, KEPT, True),
    ("not a number", {"role": "active", "generation": "6"}, KEPT, True),
    ("no marker", {}, KEPT, False),
    ("a host that has not counted", {"role": "active", "generation": 5}, {}, False),
    ("accepted", {"role": "active", "generation": 5}, {**KEPT, "accepted": 5}, False),
    ("accepted before it was counted", {"role": "active"}, {**KEPT, "accepted": 0}, False),
    ("another one accepted", {"role": "active", "generation": 4}, {**KEPT, "accepted": 5}, True),
]


@pytest.mark.parametrize(
    ("marker", "kept", "older"), [case[1:] for case in AGES], ids=[case[0] for case in AGES]
)
def test_which_state_is_older(marker: dict[str, Any], kept: dict[str, Any], older: bool) -> None:
    assert is_older(marker, kept) is older


def test_the_next_number_is_above_all_that_was_counted() -> None:
    # Also above the disk that was there before a restore: it is the older one from now on.
    assert following({"generation": 5}, {**KEPT, "accepted": 5}) == 7
    assert following({"generation": 9}, KEPT) == 10
    assert following({}, {}) == 1


@pytest.mark.parametrize("value", [True, -1, 0, 1.5, "1", None, 1 << 60])
def test_what_is_no_count_is_none(value: Any) -> None:
    assert number({"generation": value}) == 0


def test_what_the_host_keeps_is_read_or_refused() -> None:
    check_kept({})
    check_kept(KEPT)
    for broken in ({"error": "it is no object"}, {"generation": 1}):
        with pytest.raises(Unreadable):
            check_kept(broken)
    with pytest.raises(NewerFormat):
        check_kept({"format": 2})


BEHIND = {"format": 1, "role": "active", "layout": "flat", "generation": 5}
UNMOUNTED: dict[str, Any] = {
    "mounts": [{**flat_host()["mounts"][0]}],
    "state": {"/data/state": place("link", target="/data-state"), "/data-state": place()},
    "record": {"format": 1, "disks": {
        "data": {"uuid": "u-data", "phase": "formatted"}, "state": {"uuid": "u-state", "phase": "formatted"},
    }},
    "inside": {"/data": inside(), "8:32": inside("system.duckdb", marker=BEHIND)},
}  # fmt: skip
HOSTS: list[tuple[str, Any, str]] = [
    (
        "mounted",
        flat_host(state={
            "/data/state": place("link", target="/data-state"),
            "/data-state": place(mounted=True, names=["system.duckdb"], database=True, marker=BEHIND),
        }),
        "rebind --state u-state --because restore",
    ),
    ("attached and not mounted", flat_host(**UNMOUNTED), "rebind --state u-state --because restore"),
    (
        "in a directory of the data disk",
        one_disk_host(
            devices=[ext4("/dev/sdb", "u-data")],
            state={
                "/data/state": place(
                    names=["system.duckdb"], database=True, marker={**BEHIND, "layout": "nested"}
                ),
                "/data-state": place("absent"),
            },
        ),
        "rebind --data u-data --because restore",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "command"), [case[1:] for case in HOSTS], ids=[case[0] for case in HOSTS]
)
def test_a_run_stops_before_older_state_and_names_the_command(host: Any, command: str) -> None:
    host["generation"] = {"format": 1, "generation": 5}
    assert make_plan(host, {"layout": ""})["code"] != "AH186"
    host["generation"] = KEPT
    plan = make_plan(host, {"layout": ""})
    assert plan["code"] == "AH186"
    assert command in plan["refusal"]
    assert plan["needs"] == []
