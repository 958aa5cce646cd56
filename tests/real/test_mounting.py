# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounting and unmounting below a directory of uid 999's: no link is followed, wherever it leads."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.disks import fstab
from ansible_collections.agnes.host.plugins.module_utils.core.host.errors import WrongRole
from ansible_collections.agnes.host.plugins.module_utils.core.move.move_errors import (
    OtherDeviceMounted,
)
from ansible_collections.agnes.host.plugins.module_utils.system.disks import filesystems, formatting
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of
from ansible_collections.agnes.host.plugins.module_utils.system.host import record
from ansible_collections.agnes.host.plugins.module_utils.system.host.actions import Actions
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Failed
from ansible_collections.agnes.host.plugins.modules.disks import DisksManager

from .conftest import Filesystem


def mounted_at(path: Path) -> int:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return sum(line.split(" ")[4] == str(path) for line in file)


@pytest.fixture
def place(
    filesystem: Filesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """A disk with a line in fstab for a directory that is there, and another directory."""
    disk = filesystem("ext4", "disk", 32)
    shown = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE,UUID", str(disk)],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    point, other = tmp_path / "point", tmp_path / "other"
    point.mkdir()
    other.mkdir()
    fstab = tmp_path / "fstab"
    fstab.write_text(f"{shown[0]} {point} ext4 defaults,noatime,nofail,x-agnes.host=state 0 2\n")
    monkeypatch.setattr(filesystems, "FSTAB", str(fstab))
    yield {"disk": disk, "point": point, "other": other, "number": maj_min_of(disk.stat().st_dev)}
    for path in (point, other, tmp_path / "away"):
        while mounted_at(path):
            subprocess.run(["umount", str(path)], check=True)


def test_a_disk_is_mounted_by_its_line_and_unmounted(place: dict[str, Any]) -> None:
    filesystems.mount(str(place["point"]), place["number"])
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        line = next(line for line in file if line.split(" ")[4] == str(place["point"]))
    assert "noatime" in line
    filesystems.unmount(str(place["point"]))
    assert not mounted_at(place["point"])


def test_nothing_is_mounted_through_a_link(place: dict[str, Any]) -> None:
    place["point"].rmdir()
    place["point"].symlink_to(place["other"])
    with pytest.raises(NotADirectoryError):
        filesystems.mount(str(place["point"]), place["number"])
    assert not mounted_at(place["other"])


def test_a_directory_that_goes_elsewhere_while_the_disk_is_mounted_keeps_no_mount(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = filesystems.run

    def late(argv: list[str], **more: Any) -> Any:
        if argv[0] == "mount":
            place["point"].rename(place["point"].parent / "away")
            place["point"].symlink_to(place["other"])
        return real(argv, **more)

    monkeypatch.setattr(filesystems, "run", late)
    with pytest.raises((OtherDeviceMounted, NotADirectoryError)):
        filesystems.mount(str(place["point"]), place["number"])
    assert not mounted_at(place["other"])
    assert not mounted_at(place["point"].parent / "away")


def test_a_mount_that_fails_is_no_success_for_nofail(place: dict[str, Any]) -> None:
    Path(filesystems.FSTAB).write_text(f"/dev/none {place['point']} ext4 nofail 0 2\n")
    with pytest.raises(Failed):
        filesystems.mount(str(place["point"]), "")


@pytest.mark.parametrize("role", ["data", "state"])
def test_a_disk_that_is_refused_once_it_is_mounted_leaves_no_line_in_fstab(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """What only its journal had is seen after the mount: this is the state disk."""
    (place["disk"] / "system.duckdb").write_text("rows")
    theirs = "/dev/sr0 /media/cdrom iso9660 noauto 0 0"
    Path(filesystems.FSTAB).write_text(theirs)
    monkeypatch.setattr(record, "load", lambda: {"disks": {}, "instance_id": "i"})
    monkeypatch.setattr(formatting, "remember", lambda *arguments: None)
    known = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE,UUID", str(place["disk"])],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    # By its device: nothing here tells libblkid of a new UUID.
    line = f"{known[0]} {place['point']} ext4 defaults 0 2"
    monkeypatch.setattr(filesystems, "missing_fstab_line", lambda *arguments: line)
    disk = {
        "action": "mount", "role": role, "device": known[0], "uuid": known[1], "fstype": "ext4",
        "mount_point": str(place["point"]), "maj_min": place["number"], "instance": "",
    }  # fmt: skip
    actions = Actions(check=False)
    manager = DisksManager([disk], actions, "")
    if role == "state":
        manager.run()
        assert line in Path(filesystems.FSTAB).read_text()
        return
    with pytest.raises(WrongRole):
        manager.run()
    assert not mounted_at(place["point"])
    assert Path(filesystems.FSTAB).read_text() == theirs + "\n"
    assert [item["after"] == "absent" for item in actions.items] == [False, True]


def test_nothing_is_unmounted_through_a_link(place: dict[str, Any]) -> None:
    place["point"].rmdir()
    place["point"].symlink_to(place["disk"])
    with pytest.raises(OSError) as error:
        filesystems.unmount(str(place["point"]))
    assert error.value.errno == errno.EINVAL
    assert os.path.ismount(place["disk"])


def test_a_line_is_tried_where_nobody_sees_it(place: dict[str, Any]) -> None:
    text = Path(filesystems.FSTAB).read_text()
    good = fstab.entries(text)[0]
    filesystems.try_mount(good)
    assert not mounted_at(place["point"])
    bad = fstab.entries(text.replace("noatime", "noatime,no_such_option=1"))[0]
    with pytest.raises(Failed):
        filesystems.try_mount(bad)
