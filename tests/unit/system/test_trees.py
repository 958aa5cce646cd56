# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.errors import StateLinkForeign
from ansible_collections.agnes.host.plugins.module_utils.core.tree import Entry
from ansible_collections.agnes.host.plugins.module_utils.system import trees
from ansible_collections.agnes.host.plugins.module_utils.system.actions import Actions

UID, GID = os.getuid(), os.getgid()


def entries(top: Path) -> list[Entry]:
    return [
        Entry(f"{top}/dir", "directory", UID, GID, 0o750),
        Entry(f"{top}/dir/key", "file", UID, GID, 0o600, content="secret"),
        Entry(f"{top}/link", "link", 0, 0, 0o777, target="dir"),
    ]


def keep_all(top: Path, check: bool = False) -> list[dict[str, str]]:
    actions = Actions(check)
    for entry in entries(top):
        trees.keep(entry, actions)
    return actions.items


def test_a_check_run_announces_what_the_real_run_does_and_the_next_run_does_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir").chmod(0o750)
    announced = keep_all(tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["dir"]
    assert keep_all(tmp_path) == announced
    assert [(item["before"], item["after"]) for item in announced] == [
        ("absent", f"file {UID}:{GID} 0600"),
        ("absent", "link to dir"),
    ]
    assert (tmp_path / "link").readlink() == Path("dir")
    assert (tmp_path / "dir" / "key").read_text() == "secret"
    assert (tmp_path / "dir" / "key").stat().st_mode & 0o7777 == 0o600
    assert keep_all(tmp_path) == []


def test_a_directory_is_made_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        keep_all(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "dir").stat().st_mode & 0o7777 == 0o750


def test_the_mode_of_what_is_there_is_left_alone(tmp_path: Path) -> None:
    keep_all(tmp_path)
    (tmp_path / "dir").chmod(0o700)
    assert keep_all(tmp_path) == []
    assert (tmp_path / "dir").stat().st_mode & 0o7777 == 0o700


@pytest.mark.skipif(UID != 0, reason="only root can give files away")
def test_the_owner_of_a_directory_is_corrected(tmp_path: Path) -> None:
    keep_all(tmp_path)
    os.chown(tmp_path / "dir", 12345, 12346)
    (item,) = keep_all(tmp_path)
    assert (item["before"], item["after"]) == ("owner 12345:12346", "owner 0:0")
    assert (tmp_path / "dir").stat().st_uid == 0


def test_a_file_with_other_content_is_written_anew(tmp_path: Path) -> None:
    keep_all(tmp_path)
    (tmp_path / "dir" / "key").write_text("old")
    (item,) = keep_all(tmp_path)
    assert item["before"] == "other content"
    assert "secret" not in item["after"]
    assert (tmp_path / "dir" / "key").read_text() == "secret"


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("name", ["dir", "dir/key", "link"])
@pytest.mark.parametrize("kind", ["directory", "file", "link", "fifo"])
def test_something_of_another_kind_is_refused_and_left(
    check: bool, name: str, kind: str, tmp_path: Path
) -> None:
    if {"dir": "directory", "dir/key": "file", "link": "link"}[name] == kind and kind != "link":
        return
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "file":
        path.write_text("theirs")
    elif kind == "link":
        path.symlink_to("/etc")
    else:
        os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(StateLinkForeign):
        keep_all(tmp_path, check)
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_a_parent_that_has_become_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "dir").symlink_to(elsewhere)
    entry = Entry(f"{tmp_path}/dir/key", "file", UID, GID, 0o600, content="secret")
    with pytest.raises(OSError):
        trees.keep(entry, Actions(check=False))
    assert [*elsewhere.iterdir()] == []
