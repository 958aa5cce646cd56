# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of mounts, as all who read it get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.copy import copying
from ansible_collections.agnes.host.plugins.module_utils.system.disks import mountinfo
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done
from ansible_collections.agnes.host.plugins.module_utils.system.move import moving

STATE = "46 22 8:16 / /data-state rw shared:1 - ext4 /dev/sdb rw,noatime"
ARROW = "47 22 8:32 /sub /data-state→ rw - xfs /dev/sdc rw"
SPACE = r"48 46 8:48 / /data-state/my\040disk rw - ext4 /dev/sdd rw"
LATER = "49 46 0:45 / /data-state rw - tmpfs none rw"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mountinfo file that stands for this process's own."""
    path = tmp_path / "mountinfo"
    path.write_text("\n".join([STATE, ARROW, SPACE, LATER, ""]), "utf-8")
    monkeypatch.setattr(mountinfo.read, "__defaults__", (str(path),))
    monkeypatch.setattr(moving, "_uuid", lambda maj_min, _source: f"u-{maj_min}")
    return path


def test_each_line_is_read(table: Path) -> None:
    assert mountinfo.read(str(table)) == [
        ("8:16", "/", "/data-state", "ext4", "/dev/sdb"),
        ("8:32", "/sub", "/data-state→", "xfs", "/dev/sdc"),
        ("8:48", "/", "/data-state/my disk", "ext4", "/dev/sdd"),
        ("0:45", "/", "/data-state", "tmpfs", "none"),
    ]


def test_a_name_beyond_latin_1_is_not_taken_for_the_state_mount(table: Path) -> None:
    assert [(point["target"], point["maj_min"]) for point in moving.points()] == [
        ("/data-state", "8:16"), ("/data-state/my disk", "8:48"), ("/data-state", "0:45"),
    ]  # fmt: skip


def test_the_topmost_mount_counts(table: Path) -> None:
    assert moving.mount_at("/data-state") == ("0:45", "u-0:45", "/")
    assert moving.mount_at("/data-state→") == ("8:32", "u-8:32", "/sub")
    assert moving.mount_at("/nothing") == ("", "", "")


def test_each_device_is_asked_once_for_its_uuid_and_what_is_none_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def run(argv: list[str], codes: object) -> Done:
        asked.append(argv[-1])
        return Done(0, "u-1\n", "")

    monkeypatch.setattr(moving, "run", run)
    monkeypatch.setattr(moving, "_UUIDS", {})
    # btrfs has a number of its own, and a device all the same.
    uuids = [moving._uuid(*each) for each in (*DEVICES, *DEVICES)]
    assert uuids == ["u-1", "u-1", "", ""] * 2
    assert asked == ["/dev/sdb", "/dev/sdc"]


DEVICES = (("8:16", "/dev/sdb"), ("0:46", "/dev/sdc"), ("0:45", "tmpfs"), ("0:30", "nas:/x"))


def test_mounts_strictly_below(table: Path) -> None:
    assert copying.mounts_below("/data-state") == ["/data-state/my disk"]
    assert copying.mounts_below("/") == ["/data-state", "/data-state/my disk", "/data-state→"]
