# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a file can be replaced is asked on a new host, too, where its directory is not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.host import replaceable


def test_a_file_whose_directories_are_not_there_yet_is_not_fixed(tmp_path: Path) -> None:
    assert replaceable.fixed(str(tmp_path / "opt" / "agnes" / ".env")) == ""


def test_of_a_directory_that_is_not_there_it_is_asked_where_it_would_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(replaceable, "_kept", lambda path: asked.append(path) or "")
    replaceable.directory_fixed(str(tmp_path / "opt" / "agnes"))
    assert asked == [str(tmp_path)]


def test_a_file_that_can_not_be_opened_is_not_known_to_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fstab").write_text("")
    assert replaceable.fixed(str(tmp_path / "fstab")) == ""
    opened = os.open

    def broken(path: str, *how: int, **more: int) -> int:
        if path == str(tmp_path / "fstab"):
            raise OSError(errno.EIO, "Input/output error", path)
        return opened(path, *how, **more)

    monkeypatch.setattr(os, "open", broken)
    assert replaceable.fixed(str(tmp_path / "fstab")) == "unreadable (Input/output error)"
