# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import durable

ME = (os.getuid(), os.getgid())


def mode_of(path: Path) -> int:
    return path.lstat().st_mode & 0o7777


@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """New files belong to root; a user who is not root can only give them to itself."""
    real = os.fchown
    if ME[0]:
        monkeypatch.setattr(os, "fchown", lambda fd, _uid, _gid: real(fd, *ME))


def test_a_new_file_has_its_mode_and_nothing_else_is_left(tmp_path: Path) -> None:
    durable.write(f"{tmp_path}/new", "text\n", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new").read_text() == "text\n"
    assert mode_of(tmp_path / "new") == 0o600


def test_a_file_that_exists_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("old")
    path.chmod(0o640)
    owner = (12345, 12346) if ME == (0, 0) else ME
    os.chown(path, *owner)
    durable.write(str(path), "new", 0o600)
    assert path.read_text() == "new"
    assert mode_of(path) == 0o640
    assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_what_a_crash_left_of_the_same_file_goes_and_nothing_else(tmp_path: Path) -> None:
    others = (".file.0123456789ab.newer", ".other.0123456789ab.new", ".file.x.new")
    for name in (".file.0123456789ab.new", *others):
        (tmp_path / name).write_text("SECRET=1")
    (tmp_path / ".file.000000000000.new").mkdir()
    durable.write(f"{tmp_path}/file", "new")
    left = {".file.000000000000.new", "file", *others}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_what_somebody_is_still_writing_stays(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    with durable.replacing(directory, "file") as fd:
        os.write(fd, b"first")
        durable.write(f"{tmp_path}/file", "second")
    os.close(directory)
    assert (tmp_path / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_what_fails_leaves_the_old_file_and_no_temporary_one(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("old")

    def fail(*_arguments: Any, **_more: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no space left"):
            durable.write(f"{tmp_path}/file", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_the_file_is_flushed_before_it_has_its_name_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def flushed(fd: int) -> None:
        calls.append(f"fsync {'directory' if os.path.isdir(f'/proc/self/fd/{fd}') else 'file'}")
        fsync(fd)

    def renamed(*names: Any, **where: Any) -> None:
        calls.append("rename")
        rename(*names, **where)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "rename", renamed)
    durable.write(f"{tmp_path}/file", "new")
    assert calls == ["fsync file", "rename", "fsync directory"]


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to("target")
    durable.write(f"{tmp_path}/link", "new", keep_owner=False)
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()


def test_what_takes_the_place_of_a_link_is_not_open_to_all(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    durable.write(f"{tmp_path}/link", "new", 0o644)
    assert mode_of(tmp_path / "link") == 0o644


def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"A=\xff\xfe\r\nB=\xc3\xa9")
    text = durable.read_text(str(path))
    assert text is not None
    durable.write(str(path), text)
    assert path.read_bytes() == b"A=\xff\xfe\r\nB=\xc3\xa9"


def test_read_text_takes_only_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "."):
        with pytest.raises(OSError):
            durable.read_text(f"{tmp_path}/{name}")
    assert durable.read_text(f"{tmp_path}/none") is None
    (tmp_path / "file").write_text("x")
    assert durable.read_text(f"{tmp_path}/file/below") is None


def test_a_directory_is_made_with_its_parents_and_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.make_directory(f"{tmp_path}/a/b", 0o750)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "a") == 0o755
    assert mode_of(tmp_path / "a" / "b") == 0o750
    durable.make_directory(f"{tmp_path}/a/b", 0o700)
    assert mode_of(tmp_path / "a" / "b") == 0o750
