# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading /etc/fstab through a link, and why it can't be replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks import fstab_file, mountinfo
from ansible_collections.agnes.host.plugins.module_utils.system.host import replaceable


def test_a_file_or_none_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    assert (fstab_file.read(str(path)), fstab_file.fixed(str(path))) == ("", "")
    path.write_text("a b c\n")
    assert (fstab_file.read(str(path)), fstab_file.fixed(str(path))) == ("a b c\n", "")


def test_the_directory_may_not_be_there_yet(tmp_path: Path) -> None:
    assert replaceable.fixed(str(tmp_path / "opt" / "agnes" / ".env")) == ""
    assert fstab_file.read(str(tmp_path / "none" / "fstab")) == ""


def test_a_link_is_read_through_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a b c\n")
    path = tmp_path / "fstab"
    path.symlink_to("real")
    assert fstab_file.read(str(path)) == "a b c\n"
    assert fstab_file.fixed(str(path)) == "a link to 'real', which a new file would replace"


def test_a_dangling_link_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    path.symlink_to("gone")
    assert fstab_file.read(str(path)) == ""
    assert fstab_file.fixed(str(path)).startswith("a link to 'gone'")


def test_what_is_no_file_or_a_mount_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fstab"
    os.mkfifo(path)
    assert fstab_file.fixed(str(path)) == "no regular file"
    path.unlink()
    path.write_text("")
    at = mountinfo.Line("8:1", "/fstab", str(path), "ext4", "/dev/sda1")
    monkeypatch.setattr(mountinfo, "read", lambda: [at])
    assert fstab_file.fixed(str(path)) == "a mount point of its own"


def test_a_full_or_read_only_filesystem_has_no_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    for at, value, reason in (
        (3, 10, "full"), (6, 0, "full"), (8, real.f_flag | os.ST_RDONLY, "mounted read-only"),
    ):  # fmt: skip
        changed = os.statvfs_result([*real[:at], value, *real[at + 1 :]])
        monkeypatch.setattr(os, "statvfs", lambda _path, it=changed: it)
        assert reason in fstab_file.fixed(str(tmp_path / "fstab"))
