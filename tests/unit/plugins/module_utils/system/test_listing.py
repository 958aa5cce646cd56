# SPDX-License-Identifier: GPL-3.0-or-later
"""An absent folder is empty, one that can't be read is not."""

from __future__ import annotations

import errno
import glob
import io
import os
from pathlib import Path
from unittest import mock

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks import kernel_users, mountinfo
from ansible_collections.agnes.host.plugins.module_utils.system.disks.mountinfo import Line
from ansible_collections.agnes.host.plugins.module_utils.system.host import listing


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name in ("a/x.service", "a/y.service.d/b.conf", "a/.hidden.service", "b/loop0/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a" / "dangling.service").symlink_to("none")
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        "a/*.service",
        "a/*.service.d/*.conf",
        "a/*",
        "*/*",
        "b/loop*/file",
        "none/*",
        "a/x.service",
        "a/x.service/*",
        "none",
        "a/dangling.service",
    ],
)
def test_what_can_be_read_is_as_glob_has_it(top: Path, pattern: str) -> None:
    assert listing.matching(f"{top}/{pattern}") == sorted(glob.glob(f"{top}/{pattern}"))


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_what_can_not_be_read_is_an_error(
    top: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "lstat", broken)
    with pytest.raises(OSError, match=r"/a/x\.service'"):
        listing.matching(f"{top}/a/x.service")
    monkeypatch.setattr(os, "listdir", broken)
    with pytest.raises(OSError, match="/a'"):
        listing.matching(f"{top}/a/*")


DISK = Line("8:32", "/", "/data/state", "ext4", "/dev/sdc")


@pytest.mark.parametrize("broken", ["SWAPS", "LOOPS", "EXPORTS"])
def test_users_in_the_kernel_that_can_not_be_looked_for_are_not_none(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("swaps", "exports"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(kernel_users, "SWAPS", f"{tmp_path}/swaps")
    monkeypatch.setattr(kernel_users, "LOOPS", f"{tmp_path}/loop*/backing_file")
    monkeypatch.setattr(kernel_users, "EXPORTS", (f"{tmp_path}/exports", f"{tmp_path}/none"))
    monkeypatch.setattr(mountinfo, "read", lambda: [DISK])
    assert kernel_users.kernel_users("8:32") == []
    # What a directory in the place of a file answers, root is told, too.
    bad = tmp_path / "loop7" / "backing_file" if broken == "LOOPS" else tmp_path / broken.lower()
    bad.unlink(missing_ok=True)
    bad.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        kernel_users.kernel_users("8:32")


@pytest.mark.parametrize(
    ("number", "gone"),
    [(errno.ENXIO, True), (errno.ENODEV, True), (errno.ENOENT, True), (errno.EIO, False)],
    ids=["ENXIO", "ENODEV", "ENOENT", "EIO"],
)
def test_a_loop_device_that_is_let_go_meanwhile_uses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, gone: bool
) -> None:
    def opened(path: str, **_how: str) -> io.StringIO:
        file = io.StringIO()
        if path.endswith("backing_file"):
            monkeypatch.setattr(file, "read", mock.Mock(side_effect=OSError(number, "no")))
        return file

    loop = tmp_path / "loop7" / "backing_file"
    loop.parent.mkdir()
    loop.touch()
    monkeypatch.setattr(kernel_users, "LOOPS", f"{tmp_path}/loop*/backing_file")
    monkeypatch.setattr(kernel_users, "open", opened, raising=False)
    monkeypatch.setattr(mountinfo, "read", lambda: [DISK])
    if gone:
        assert kernel_users.kernel_users("8:32") == []
    else:
        with pytest.raises(OSError, match="no") as raised:
            kernel_users.kernel_users("8:32")
        # What fails in reading names no file by itself.
        assert raised.value.filename == str(loop)
