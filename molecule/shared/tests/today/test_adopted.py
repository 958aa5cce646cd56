# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of today, before and after the collection took it over: only marker, record and agnes-host are new."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import records
from play import play

SCENARIO = os.environ["MOLECULE_SCENARIO_NAME"]
MARKER = "/data/state/.agnes-state.json"
COMMAND = "/usr/local/sbin/agnes-host"
RECORD = "/var/lib/agnes-host/record.json"


def snapshot(host: Any) -> dict[str, Any]:
    taken: dict[str, Any] = json.loads(host.check_output("lab-snapshot"))
    return taken


@pytest.fixture(scope="module")
def before(host: Any) -> dict[str, Any]:
    """The host as it was made by hand."""
    taken: dict[str, Any] = json.loads(host.file("/srv/before.json").content_string)
    assert len(taken["containers"]) == 5
    return taken


@pytest.fixture(scope="module")
def after(host: Any) -> dict[str, Any]:
    """The host after check, converge and idempotence, before it was restarted."""
    taken: dict[str, Any] = json.loads(host.file("/srv/after.json").content_string)
    return taken


def test_only_marker_record_and_command_were_written(name: str, facts: dict[str, Any]) -> None:
    done = records.actions(records.read(SCENARIO, "converge"), name)
    roles = ["data", "state"] if facts["lab_state_disk"] else ["data"]
    # And the mount points themselves are immutable, if nothing is in them.
    points = ["/data", "/data/state"] if facts["lab_state_disk"] else ["/data"]
    protected = {f"{path} itself" for path in points[: 1 if facts.get("lab_shadowed") else 2]}
    assert {what for _module, what, _before, _after in done} == {
        MARKER,
        COMMAND,
        *(f"{RECORD} {role}" for role in roles),
        *protected,
    }


@pytest.mark.parametrize("part", ["files", "containers", "mounts"])
def test_files_containers_and_mounts_are_as_they_were(
    before: dict[str, Any], after: dict[str, Any], part: str
) -> None:
    assert before[part]
    assert after[part] == before[part]


def test_no_owner_or_mode_was_changed(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = {path: after["tree"].get(path) for path in before["tree"]}
    assert kept == before["tree"]
    assert before["tree"]["/data/postgres"] == "d 70:70 0700"
    assert set(after["tree"]) - set(before["tree"]) == {MARKER}


def test_flat_is_refused_and_nothing_is_changed(
    name: str, facts: dict[str, Any], host: Any
) -> None:
    again = snapshot(host)
    done = play(f"{name}-flat", {name: {**facts, "layout": "flat"}})
    assert done.returncode != 0
    failed = [r for r in records.read(f"{name}-flat", "site") if r["status"] == "failed"]
    (said,) = [record["msg"] for record in failed]
    assert re.fullmatch(facts["lab_flat_refused"], said), said
    now = snapshot(host)
    assert {part: now[part] for part in ("files", "containers", "mounts")} == {
        part: again[part] for part in ("files", "containers", "mounts")
    }
    assert set(again["tree"]) == set(now["tree"])
