# SPDX-License-Identifier: GPL-3.0-or-later
"""The observation holds each fact once; a move sees what follows from it, as its runner does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.disks import mounted_at
from ansible_collections.agnes.host.plugins.module_utils.core.host.facts import Host
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_facts import facts_of_host
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_status import (
    MoveFacts,
    Moving,
)
from ansible_collections.agnes.host.plugins.module_utils.system.disks import fstab_file, mountinfo
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving

from .hosts import env, flat_host, mount, nested_host, one_disk_host
from .move_refusals import host_with

FOLLOW = ("env", "points", "lines", "marker", "roles", "formatted", "moved")
TMPFS = {**mount("/data-state", "0:45", source="tmpfs"), "fstype": "tmpfs"}


def test_what_a_move_asks_for_itself_is_nothing_that_the_host_has_already() -> None:
    own = set(Moving.__annotations__)
    assert own.isdisjoint(Host.__annotations__)
    assert own.isdisjoint(FOLLOW)
    assert set(MoveFacts.__annotations__) == own | set(FOLLOW)


def test_a_shadowed_mount_and_a_tmpfs_are_what_a_move_sees_and_no_disk_that_shows() -> None:
    observed = flat_host()
    observed["mounts"].append(TMPFS)  # type: ignore[arg-type]
    assert mounted_at(observed, "/data-state") is None
    points = facts_of_host(observed)["points"]
    assert [point["maj_min"] for point in points] == ["8:32", "0:45"]


MARKED: Any = {"format": 1, "layout": "flat", "role": "active"}


def _marked(observed: Any, path: str, marker: dict[str, Any]) -> Any:
    observed["state"][path]["marker"] = marker
    return observed


@pytest.mark.parametrize(
    ("observed", "marker", "roles"),
    [
        (flat_host(), "", {}),
        (_marked(flat_host(), "/data-state", MARKED), "flat", {"/data-state": "active"}),
        # That of a place which .env does not name says whose it is, and not what the layout is.
        (_marked(flat_host(), "/data/state", MARKED), "", {"/data/state": "active"}),
        (_marked(nested_host(), "/data/state", MARKED), "flat", {"/data/state": "active"}),
        (_marked(nested_host(env=env(STATE_DIR="/srv")), "/data/state", MARKED), "flat", {"/data/state": "active"}),
        (_marked(one_disk_host(), "/data/state", {"format": "unreadable"}), "", {}),
    ],
)  # fmt: skip
def test_the_markers_are_those_of_the_state_directories(
    observed: Any, marker: str, roles: dict[str, str]
) -> None:
    facts = facts_of_host(observed)
    assert (facts["marker"], facts["roles"]) == (marker, roles)


@pytest.mark.parametrize(
    ("record", "formatted", "moved"),
    [
        ({}, "", ""),
        ({"error": "it is no object"}, "", ""),
        ({"disks": {"copy": {"uuid": "u", "phase": "formatted"}}}, "u", ""),
        ({"disks": {"copy": {"uuid": "u", "phase": "formatting"}}}, "", ""),
        ({"disks": {"state": {"uuid": "u", "phase": "formatted"}}, "move": {"id": "m"}}, "", "m"),
    ],
)
def test_the_record_says_what_was_formatted_to_copy_to_and_which_move_was_the_last(
    record: dict[str, Any], formatted: str, moved: str
) -> None:
    facts = facts_of_host(flat_host(record=record))
    assert (facts["formatted"], facts["moved"]) == (formatted, moved)


def _as_lines(mounts: Any) -> str:
    rows = (f"1 2 {m['maj_min']} {m['root']} {m['target']} rw - {m['fstype']} {m['source']} rw"
            for m in mounts)  # fmt: skip
    return "\n".join([*rows, ""])


@pytest.mark.parametrize("name", ["nested", "flat"])
def test_the_runner_sees_what_the_plan_sees(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same host: the one from the observation, the other by its own look."""
    observed = host_with(LAYOUTS[name])
    observed["mounts"].append(TMPFS)
    observed["record"].update(move={"id": "m"}, disks={"copy": {"uuid": "u", "phase": "formatted"}})
    mountinfo_file, fstab = tmp_path / "mountinfo", tmp_path / "fstab"
    mountinfo_file.write_text(_as_lines(observed["mounts"]))
    lines = (f"{e['spec']} {e['mount_point']} ext4 defaults 0 2\n" for e in observed["fstab"])
    fstab.write_text("/dev/sda1 / ext4 defaults 0 1\n" + "".join(lines))
    values = {**observed["env"]["values"], "JWT_SECRET_KEY": "x"}
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    uuids = {m["maj_min"]: m["uuid"] for m in observed["mounts"]}
    monkeypatch.setattr(mountinfo.read, "__defaults__", (str(mountinfo_file),))
    monkeypatch.setattr(fstab_file.read, "__defaults__", (str(fstab),))
    monkeypatch.setattr(moving, "_uuid", lambda maj_min, _source: uuids[maj_min])
    monkeypatch.setattr(moving.record, "read", lambda: copy.deepcopy(observed["record"]))
    monkeypatch.setattr(moving, "observe", lambda *_given: observed["moving"])
    monkeypatch.setattr(moving, "marker", lambda path: observed["state"][path]["marker"] or {})
    monkeypatch.setattr(moving, "state_dirs", lambda: list(observed["state"]))
    assert moving.look(str(tmp_path)) == facts_of_host(observed)
