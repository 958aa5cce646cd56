# SPDX-License-Identifier: GPL-3.0-or-later
"""What was set aside is listed and deleted by name; nothing else is ever deleted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.copy import retired as core
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import NotRetired
from ansible_collections.agnes.host.plugins.module_utils.core.layout.layouts import LAYOUTS
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import MoveUnderWay
from ansible_collections.agnes.host.plugins.module_utils.system.copy import retired
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.move import ledger
from ansible_collections.agnes.host.plugins.modules import purge


@pytest.fixture
def aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with two things that were set aside, one with links that lead out of it."""
    folder = tmp_path / core.ASIDE
    (folder / "old" / "certs").mkdir(parents=True)
    (folder / "old" / "certs" / "key.pem").write_text("secret")
    (folder / "old" / "out").symlink_to(tmp_path / "live")
    (folder / "kept").mkdir()
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "system.duckdb").write_text("rows")
    os.utime(folder / "old" / "certs" / "key.pem", (0, 0))
    missing = str(tmp_path / "nothing")
    monkeypatch.setattr(retired, "folders", lambda: [str(folder), missing])
    return folder


def test_the_list_says_how_much_and_how_old(aside: Path) -> None:
    assert retired.find() == [
        {"path": f"{aside}/kept", "bytes": 0, "files": 0, "newest": ""},
        {"path": f"{aside}/old", "bytes": 6, "files": 1, "newest": "1970-01-01 00:00"},
    ]
    assert core.say(retired.find()[1]) == (
        f"{aside}/old (1 files, 6 bytes, newest of 1970-01-01 00:00)"
    )


def test_only_what_is_named_is_deleted_and_no_link_is_followed(aside: Path) -> None:
    retired.delete(f"{aside}/old")
    assert os.listdir(aside) == ["kept"]
    assert (aside.parent / "live" / "system.duckdb").read_text() == "rows"


def test_a_folder_that_is_a_link_is_not_looked_into(aside: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    aside.rename(real)
    aside.symlink_to(real)
    assert retired.find() == []


@pytest.mark.parametrize("named", ["{}/old/certs", "{}/old/", "{}", "/", "{}/../live"])
def test_anything_that_is_not_in_the_list_is_refused(aside: Path, named: str) -> None:
    path = named.format(aside)
    with pytest.raises(NotRetired) as refused:
        core.check_named([f"{aside}/kept", path], retired.find())
    assert str(refused.value) == (
        f"AH100: '{path}' is not one of the paths that were set aside on this host (set aside: "
        f"{aside}/kept, {aside}/old), so it is not deleted; name one of these exactly as it is "
        "written"
    )


def test_no_folder_is_itself_a_mount_point_or_a_state_directory() -> None:
    for layout in LAYOUTS.values():
        assert not set(core.folders()) & {*layout.mounts.values(), layout.state_dir}


@pytest.mark.parametrize("name", ["INTENT", "REQUEST"])
def test_nothing_is_deleted_while_a_move_is_asked_for_or_has_not_ended(
    aside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in ("INTENT", "REQUEST"):
        monkeypatch.setattr(ledger, each, str(tmp_path / each))
    for check_mode in (True, False):
        ledger.write(str(tmp_path / name), {"id": "m"})
        with pytest.raises(MoveUnderWay, match=f"says '{tmp_path}/{name}'"):
            purge.purge([f"{aside}/old"], Actions(check_mode))
        assert len(purge.purge([], Actions(check_mode))) == 2
        assert sorted(os.listdir(aside)) == ["kept", "old"]
        ledger.remove(str(tmp_path / name))
    purge.purge([f"{aside}/old"], Actions(False))
    assert os.listdir(aside) == ["kept"]


def test_no_move_begins_while_something_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LOCK", str(tmp_path / "run" / "lock"))
    for paths, check_mode in (([], False), (["/x"], True)):
        with purge.alone(paths, check_mode):
            assert not (tmp_path / "run").exists()
    held = r"a purge, process \d+, since"
    with (
        purge.alone(["/x"], False),
        pytest.raises(MoveUnderWay, match=held),
        ledger.locked("a move", ledger.LOCK),
    ):
        pass


def test_a_move_waits_until_something_is_deleted_and_for_nobody_else(tmp_path: Path) -> None:
    path, order = str(tmp_path / "lock"), []

    def move() -> None:
        with ledger.locked("a move", path, waits_for=ledger.PURGE):
            order.append("move")

    with ThreadPoolExecutor(1) as pool:
        with ledger.locked(ledger.PURGE, path):
            job = pool.submit(move)
            with pytest.raises(TimeoutError):
                job.result(0.5)
            order.append("deleted")
        job.result(5)
        with (
            ledger.locked("a move", path),
            pytest.raises(MoveUnderWay, match="a move, process"),
        ):
            move()
    assert order == ["deleted", "move"]
