# SPDX-License-Identifier: GPL-3.0-or-later
"""What this very process has open keeps a filesystem mounted, too: nothing is left open, and it is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of
from ansible_collections.agnes.host.plugins.module_utils.system.disks.holders import holders
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable
from ansible_collections.agnes.host.plugins.module_utils.system.layout import boot
from ansible_collections.agnes.host.plugins.module_utils.system.move.moving import Held

from .conftest import Filesystem


def test_a_unit_that_makes_a_directory_on_a_disk_does_not_have_us_hold_it(
    filesystem: Filesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = filesystem("ext4", "disk", 32)
    state = disk / "state"
    state.mkdir()
    units = tmp_path / "units"
    units.mkdir()
    (units / "agnes-bootstrap.service").write_text(
        f"[Service]\nExecStart=/bin/mkdir -p {state}\nExecStart=/bin/chown -R 999:999 {state}\n"
    )
    monkeypatch.setattr(boot, "UNIT_FOLDERS", (str(units),))
    assert boot.boot_scripts(str(tmp_path), {}) == []
    assert holders(Held(maj_min_of(disk.stat().st_dev))) == []


@pytest.mark.parametrize("what", ["directory", "pipe"])
def test_what_is_no_regular_file_is_not_left_open(filesystem: Filesystem, what: str) -> None:
    disk = filesystem("ext4", "disk", 32)
    path = disk / what
    path.mkdir() if what == "directory" else os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        durable.read_text(str(path))
    assert holders(Held(maj_min_of(disk.stat().st_dev))) == []


def test_this_process_is_named_among_those_that_hold_a_disk(filesystem: Filesystem) -> None:
    disk = filesystem("ext4", "disk", 32)
    held = Held(maj_min_of(disk.stat().st_dev))
    assert holders(held) == []
    fd = os.open(disk, os.O_RDONLY)
    try:
        assert [f"({os.getpid()}): open files" in each for each in holders(held)] == [True]
    finally:
        os.close(fd)
