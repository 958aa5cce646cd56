# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks of a run are needed, by what each part has said of the host."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.parts import ASKED, said
from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan

from .hosts import ext4, flat_host, host, nested_host

RECORD = {"format": 1, "disks": {"data": {"uuid": "u-data"}, "state": {"uuid": "u-state"}}}
ACTION = {"what": "x", "before": "absent", "after": "there"}
ALL = ["tree", "project", "stack", "caddy"]


def parts(**differs: dict[str, Any]) -> dict[str, Any]:
    """What all parts say on a flat host that is right, but for those that differ."""
    calm = {name: said() for name in ASKED}
    return {
        "layout": "flat", "mounted": ["/data", "/data-state"], "proof": True, **calm, **differs,
    }  # fmt: skip


def needs(observed: Any, **request: Any) -> list[str]:
    plan = make_plan(observed, request)
    assert plan["refusal"] == ""
    needed: list[str] = plan["needs"]
    return needed


def test_a_host_that_is_right_needs_no_task() -> None:
    assert needs(flat_host(record=RECORD, parts=parts())) == []
    assert not make_plan(flat_host(record=RECORD, parts=parts()), {})["worth_a_file"]


WITH: list[Any] = [
    pytest.param({"tree": said([ACTION])}, ["tree"], id="tree"),
    pytest.param({"project": said([ACTION])}, ["project", "stack", "caddy"], id="project"),
    pytest.param({"stack": said([ACTION])}, ["stack", "caddy"], id="stack"),
    pytest.param({"caddy": said([ACTION])}, ["caddy"], id="caddy"),
    pytest.param({"caddy": said(unknown="no answer")}, ["caddy"], id="caddy-unknown"),
    pytest.param({"stack": said(unknown="it is starting")}, ["stack", "caddy"], id="stack-unknown"),
    pytest.param(
        {"project": said(unknown="a busy engine")}, ["project", "stack", "caddy"],
        id="project-unknown",
    ),
    # What one part is about to change, the next one's refusal can't know.
    pytest.param(
        {"project": said([ACTION]), "stack": said(refusal="AH041: wrong disk", code="AH041")},
        ["project", "stack", "caddy"], id="a-refusal-after-an-action",
    ),
    pytest.param({"layout": "nested"}, ALL, id="asked-of-another-layout"),
    pytest.param({"mounted": ["/data"]}, ALL, id="asked-of-other-disks"),
]  # fmt: skip


@pytest.mark.parametrize(("differs", "expected"), WITH)
def test_what_is_due_or_not_known_needs_its_task_and_those_after_it(
    differs: dict[str, Any], expected: list[str]
) -> None:
    assert needs(flat_host(record=RECORD, parts=parts(**differs))) == expected


@pytest.mark.parametrize("missing", ASKED)
def test_a_part_that_was_not_asked_is_not_taken_for_calm(missing: str) -> None:
    answers = {key: value for key, value in parts().items() if key != missing}
    assert missing in needs(flat_host(record=RECORD, parts=answers))


def test_where_no_part_was_asked_each_task_is_needed() -> None:
    assert needs(flat_host(record=RECORD)) == ALL


def test_a_disk_that_is_not_recorded_is_to_be() -> None:
    assert needs(flat_host(parts=parts())) == ["disks"]


@pytest.mark.parametrize("part", ASKED)
def test_a_part_that_refuses_stops_the_run_before_anything_is_changed(part: str) -> None:
    refused = said(refusal="AH060: Compose rejects it", code="AH060")
    plan = make_plan(flat_host(record=RECORD, parts=parts(**{part: refused})), {})
    assert (plan["refusal"], plan["code"]) == ("AH060: Compose rejects it", "AH060")
    assert (plan["layout"], plan["needs"], plan["sentences"]) == (None, [], [plan["refusal"]])


FRESH: dict[str, Any] = {"layout": "flat", "mounted": [], "proof": True}


def test_a_project_that_is_refused_stops_a_run_before_a_disk_is_touched() -> None:
    refused = {**FRESH, "project": said(refusal="AH060: Compose rejects it", code="AH060")}
    assert make_plan(host(parts=refused), {"layout": "flat"})["code"] == "AH060"
    assert make_plan(host(parts={**refused, "proof": False}), {"layout": "flat"})["code"] == ""


def test_a_project_that_was_proved_in_the_observation_is_not_proved_again() -> None:
    proved = {**FRESH, "project": said([ACTION])}
    assert needs(host(parts=proved), layout="flat") == ["disks", *ALL]
    assert make_plan(host(parts=proved), {"layout": "flat"})["worth_a_file"]
    unknown = {**FRESH, "project": said(unknown="the image is not here")}
    assert needs(host(parts=unknown), layout="flat") == ["proof", "disks", *ALL]


def test_with_a_move_all_that_comes_after_it_is_told_whatever_was_said_before_it() -> None:
    nested = {**parts(), "layout": "nested", "mounted": ["/data", "/data/state"]}
    moves = nested_host(record=RECORD, parts=nested, compose_files=["docker-compose.yml"])
    plan = make_plan(moves, {"layout": "flat"})
    assert plan["move"]["new"]
    assert plan["needs"] == ALL
    assert (plan["now"], plan["moves_to"]) == ("nested", "flat")
    # What refuses where state is now may be right where it goes; the move has its own proof.
    refused = {**nested, "project": said(refusal="AH060: no", code="AH060")}
    assert make_plan({**moves, "parts": refused}, {"layout": "flat"})["refusal"] == ""


def test_a_disk_to_be_mounted_makes_what_was_said_without_it_void() -> None:
    away = flat_host(
        record=RECORD, parts=parts(), mounts=[], devices=[ext4("/dev/sdb", "u-data"), ext4("/dev/sdc", "u-state")],
    )  # fmt: skip
    assert needs(away, layout="flat") == ["disks", *ALL]
