# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk may be taken for this host's own: tables of what was found on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import Refusal
from ansible_collections.agnes.host.plugins.module_utils.core.host.rebind import (
    KEPT_REBINDS,
    Asked,
    Database,
    check_disk,
    check_now,
    check_reason,
    lines,
    marker_of,
    noted,
    one_device,
)
from ansible_collections.agnes.host.plugins.module_utils.core.host.rebind_errors import (
    RebindNoReason,
    RebindNotNow,
    RebindNotOneDisk,
    RebindNotThisDisk,
)
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS

from .hosts import ext4, inside

FLAT, NESTED = LAYOUTS["flat"], LAYOUTS["nested"]
MARKER = {"instance_id": "i-1", "role": "active", "layout": "flat", "epoch": 1, "generation": 4}
RECORD: dict[str, Any] = {
    "instance_id": "i-1",
    "disks": {"data": {"uuid": "u-data"}, "state": {"uuid": "u-old"}},
}


def asked(**differs: Any) -> Asked:
    """A state disk that is attached and not mounted."""
    request = Asked(
        role="state", uuid="u-state", mount_point="/data-state",
        device=ext4("/dev/sdc", "u-state"),
        inside=inside("system.duckdb", marker=MARKER),  # type: ignore[arg-type]
        mounted=False, holds_state=True,
    )  # fmt: skip
    return replace(request, **differs)


DATA_DISK: dict[str, Any] = {"role": "data", "uuid": "u-data", "mount_point": "/data"}


def marked(**differs: Any) -> dict[str, Any]:
    return inside("system.duckdb", marker={**MARKER, **differs})


FITS: list[tuple[str, dict[str, Any], str]] = [
    ("all is right", {}, "restore"),
    ("no reason yet", {}, ""),
    ("a database without a marker", {"inside": inside("system.duckdb")}, "replaced"),
    ("another instance", {"inside": marked(instance_id="i-2")}, "new-boot-disk"),
    ("another instance, to be shown", {"inside": marked(instance_id="i-2")}, ""),
    ("data", {**DATA_DISK, "holds_state": False, "inside": inside("extracts", "uploads")}, "restore"),
    (
        "data with state",
        {**DATA_DISK, "inside": inside("extracts", "state/system.duckdb", state_marker=MARKER)},
        "restore",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("differs", "because"), [case[1:] for case in FITS], ids=[case[0] for case in FITS]
)
def test_what_its_role_needs_is_on_it(differs: dict[str, Any], because: str) -> None:
    check_disk(asked(**differs), FLAT, RECORD, because)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("nothing", {"inside": inside()}, "restore", "it holds no state"),
    ("not looked into", {"inside": {"unknown": "I/O", "contents": None}}, "restore", "(I/O)"),
    ("retired", {"inside": marked(role="retired")}, "restore", "(role retired)"),
    ("sealed", {"inside": marked(role="sealed")}, "restore", "(role sealed)"),
    ("other layout", {"inside": marked(layout="nested")}, "restore", "in layout nested"),
    ("other instance", {"inside": marked(instance_id="i-2")}, "restore", "instance i-2"),
    ("other instance", {"inside": marked(instance_id="i-2")}, "replaced", "--because new-boot"),
    ("state as data", {**DATA_DISK, "holds_state": False}, "restore", "it is a state disk"),
    (
        "no data",
        {**DATA_DISK, "holds_state": False, "inside": inside()},
        "restore",
        "nothing of data's",
    ),
    (
        "data without the state that it must have",
        {**DATA_DISK, "inside": inside("extracts", "uploads")},
        "restore",
        "it holds no state",
    ),
]


@pytest.mark.parametrize(
    ("differs", "because", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_a_disk_that_can_not_be_meant(differs: dict[str, Any], because: str, message: str) -> None:
    with pytest.raises(RebindNotThisDisk) as caught:
        check_disk(asked(**differs), FLAT, RECORD, because)
    assert message in str(caught.value)


OLD = ext4("/dev/sdd", "u-old")
NOW: list[tuple[str, dict[str, Any], list[Any], str, list[str], Optional[str]]] = [
    ("all is still", {}, [OLD], "", [], None),
    ("mounted, and the stack runs on it", {"mounted": True}, [], "", ["agnes-app-1"], None),
    ("another one mounted", {}, [], "UUID u-old", [], "UUID u-old is mounted at /data-state"),
    ("the old one in use", {}, [{**OLD, "exclusive": False}], "", [], "(/dev/sdd, UUID u-old) is"),
    ("the old one below LVM", {}, [{**OLD, "holders": ["dm-0"]}], "", [], "UUID u-old) is in use"),
    ("the stack runs", {}, [], "", ["agnes-app-1"], "the stack runs without it (agnes-app-1)"),
    (
        "mounted elsewhere",
        {"device": ext4("/dev/sdc", "u-state", exclusive=False)},
        [],
        "",
        [],
        "/dev/sdc is in use, and not mounted at /data-state",
    ),
]


@pytest.mark.parametrize(
    ("differs", "known", "shown", "running", "message"),
    [case[1:] for case in NOW],
    ids=[case[0] for case in NOW],
)
def test_when_the_record_may_change(
    differs: dict[str, Any], known: list[Any], shown: str, running: list[str], message: Optional[str]
) -> None:  # fmt: skip
    if message is None:
        check_now(asked(**differs), RECORD, known, shown, running)
        return
    with pytest.raises(RebindNotNow) as caught:
        check_now(asked(**differs), RECORD, known, shown, running)
    assert message in str(caught.value)


def test_one_device_is_meant_and_not_what_it_is_made_of() -> None:
    below, above = ext4("/dev/sdc", "u", holders=["dm-0"]), ext4("/dev/dm-0", "u")
    assert one_device("state", "u", [below, above]) is above
    for known in ([], [below], [above, ext4("/dev/sdd", "u")]):
        with pytest.raises(RebindNotOneDisk):
            one_device("state", "u", known)


@pytest.mark.parametrize("because", ["", "snapshot", "Restore", "restore "])
def test_only_the_known_words_are_a_reason(because: str) -> None:
    with pytest.raises(RebindNoReason):
        check_reason(because)


def test_age_marker_and_rows_are_shown() -> None:
    database = Database(3 << 20, "2026-03-01 10:00:00 UTC, 2 h ago", {"main.t": 2, "main.u": 3}, "")
    said = lines(asked(), RECORD, {"generation": 9}, [], database)
    assert said == [
        "state disk   /dev/sdc (16 GiB; ext4, UUID u-state), not mounted",
        "record       has UUID u-old",
        "marker       instance i-1, layout flat, epoch 1, count 4 (this host has counted to 9)",
        "database     system.duckdb: 3 MiB, last written 2026-03-01 10:00:00 UTC, 2 h ago",
        "rows         5 in 2 tables (main.t 2, main.u 3)",
    ]
    uncounted = replace(database, rows={}, uncounted="app has it open")
    assert (
        lines(asked(), RECORD, {}, [], uncounted)[-1] == "rows         not counted: app has it open"
    )
    data = asked(**DATA_DISK, holds_state=False, inside=inside(newest="2026-03-01 10:00:00"))
    assert lines(data, RECORD, {}, [], None)[1:] == [
        "record       has this disk",
        "written      2026-03-01 10:00:00 UTC, the newest at its top",
    ]


def test_the_record_keeps_what_was_rebound_and_why_but_not_for_ever() -> None:
    many = {**RECORD, "rebinds": [{"at": str(number)} for number in range(KEPT_REBINDS)]}
    kept = noted(many, [asked()], {"generation": 9}, "restore", "now")
    assert len(kept) == KEPT_REBINDS
    assert kept[-1] == {
        "at": "now", "because": "restore",
        "disks": {"state": {"uuid": "u-state", "before": "u-old"}},
        "generation": {"state": 4, "host": 9},
    }  # fmt: skip


def test_the_marker_of_a_data_disk_counts_where_state_is_on_it() -> None:
    facts: dict[str, Any] = {**DATA_DISK, "inside": inside(marker={}, state_marker=MARKER)}
    assert marker_of(asked(**facts)) == MARKER
    assert marker_of(asked(**{**facts, "holds_state": False})) == {}
    assert issubclass(RebindNotNow, Refusal)
