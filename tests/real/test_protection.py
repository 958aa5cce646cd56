# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount points themselves on real filesystems: looked at, made immutable, deleted when it is retired."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks.protection import (
    FILLED,
    IMMUTABLE,
    UNABLE,
    UNKNOWN,
    WRITABLE,
)
from ansible_collections.agnes.host.plugins.module_utils.system.copy import retired
from ansible_collections.agnes.host.plugins.module_utils.system.disks import protection

Filesystem = Callable[..., Path]


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_mount_point_becomes_immutable_itself(filesystem: Filesystem, kind: str) -> None:
    point = filesystem(kind, "above") / "point"
    assert protection.look(str(point)) == UNKNOWN
    protection.protect(str(point))
    assert not point.exists()
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(point)], check=True)
    try:
        (point / "mounted").touch()
        assert protection.look(str(point)) == WRITABLE
        protection.protect(str(point))
        protection.protect(str(point))
        assert protection.look(str(point)) == IMMUTABLE
        (point / "still").touch()
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert protection.look(str(point)) == IMMUTABLE
    with pytest.raises(PermissionError):
        (point / "shadowed").touch()
    assert os.listdir(point) == []
    # The command that explain names.
    subprocess.run(["chattr", "-i", str(point)], check=True)
    assert protection.look(str(point)) == WRITABLE


def test_one_with_something_in_it_stays_as_it_is(filesystem: Filesystem) -> None:
    point = filesystem("ext4", "above") / "point"
    (point / "state").mkdir(parents=True)
    protection.protect(str(point))
    assert protection.look(str(point)) == FILLED
    (point / "state").rmdir()
    assert protection.look(str(point)) == WRITABLE


def test_where_there_is_no_such_flag_nothing_is_done(filesystem: Filesystem) -> None:
    above = filesystem("ext4", "above")
    point = above / "point"
    point.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(above)], check=True)
    assert protection.look(str(point)) == UNABLE
    protection.protect(str(point))


def test_what_is_set_aside_with_one_in_it_can_be_deleted(filesystem: Filesystem) -> None:
    aside = filesystem("ext4", "above") / "aside"
    point = aside / "old" / "state"
    point.mkdir(parents=True)
    protection.protect(str(point))
    assert protection.look(str(point)) == IMMUTABLE
    retired.delete(str(aside / "old"))
    assert os.listdir(aside) == []
