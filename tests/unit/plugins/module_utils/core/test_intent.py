# SPDX-License-Identifier: GPL-3.0-or-later
"""An intent is read whole or not at all: what is missing would be taken for what says nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.plan import make_plan
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.intent import (
    PLANNED,
    Before,
    MoveIntent,
)

from .move_refusals import host_with
from .moving import intent

BEFORE = asdict(Before())
NAMES = [each.name for each in fields(MoveIntent)]


def test_what_was_written_is_read_again() -> None:
    before = Before(point="link", data_owner=[999, 999, 493])
    written = intent(disk={"uuid": "u"}, scale={"app": 2}, facts={"layout": "x"}, before=before)
    assert MoveIntent.from_dict(json.loads(json.dumps(written))).to_dict() == written


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_is_missing_is_refused(name: str) -> None:
    said = intent()
    del said[name]
    with pytest.raises(ValueError, match=f"no field '{name}'"):
        MoveIntent.from_dict(said)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_another_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"field '{name}' is None"):
        MoveIntent.from_dict({**intent(), name: None})


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"timeout": True}, "field 'timeout' is True"),
        ({"services": ["app", 1]}, "field 'services' is "),
        ({"scale": {"app": "2"}}, "field 'scale' is "),
        ({"before": {"point": None}}, "no field 'data_owner'"),
        ({"before": {**BEFORE, "point": 1}}, "field 'point' is 1"),
        ({"before": {**BEFORE, "data_owner": ["0"]}}, "field 'data_owner' is "),
        ({"later": 1}, "unknown field 'later'"),
        ({"source": "deep"}, "unknown source 'deep'"),
        ({"target": ""}, "unknown target ''"),
        ({"direction": "up"}, "unknown direction 'up'"),
    ],
)
def test_what_is_not_understood_is_refused(odd: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MoveIntent.from_dict({**intent(), **odd})


def test_a_plan_says_what_is_asked_for_and_a_run_the_rest() -> None:
    part = make_plan(host_with(LAYOUTS["nested"]), {"layout": "flat"})["move"]
    read = MoveIntent.from_plan(part)
    assert read.planned() == {name: part[name] for name in PLANNED}
    assert (read.source, read.target, read.kind) == ("nested", "flat", "remount")
    assert (read.id, read.services) == ("", [])
    with pytest.raises(ValueError, match="no field 'disk'"):
        MoveIntent.from_plan({name: part[name] for name in part if name != "disk"})
