# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a filesystem is, by real superblocks; and a tool that does not do it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.agnes.host.plugins.module_utils.core.host.growing_errors import NotGrown
from ansible_collections.agnes.host.plugins.module_utils.system.disks import growing
from ansible_collections.agnes.host.plugins.module_utils.system.host.commands import Done, Failed

MIB = 1 << 20
INFO = """meta-data=/dev/sdc               isize=512    agcount=4, agsize=524288 blks
data     =                       bsize=4096   blocks=2097152, imaxpct=25
         =                       sunit=0      swidth=0 blks
log      =internal log           bsize=4096   blocks=16384, version=2
"""


def mounted(source: Path | str, fstype: str = "ext4") -> Any:
    return {"target": "/data", "source": str(source), "fstype": fstype, "root": "/"}


@pytest.mark.parametrize("options", [[], ["-b", "1024"], ["-O", "^64bit"]])
def test_the_size_of_an_ext4_is_that_of_its_superblock(tmp_path: Path, options: list[str]) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(100 * MIB)
    subprocess.run(["mkfs.ext4", "-q", *options, str(image), "64M"], check=True)
    assert growing.size_of(mounted(image)) == 64 * MIB


def test_what_is_no_filesystem_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 100)
    assert growing.size_of(mounted(tmp_path / "short")) == 0
    assert growing.size_of(mounted(tmp_path / "absent")) == 0
    assert growing.size_of(mounted(tmp_path / "short", "btrfs")) == 0


def test_the_size_of_an_xfs_is_what_its_tool_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_more: Any) -> Done:
        asked.append(command)
        return Done(0, INFO, "")

    monkeypatch.setattr(growing, "run", run)
    assert growing.size_of(mounted("/dev/sdc", "xfs")) == 8 << 30
    assert asked == [["xfs_growfs", "-n", "/data"]]


def fails(command: list[str], **_more: Any) -> Done:
    raise Failed("Permission denied to resize filesystem")


def does_nothing(command: list[str], **_more: Any) -> Done:
    return Done(0, "", "")


@pytest.mark.parametrize(
    ("run", "reason"), [(fails, "Permission denied"), (does_nothing, "its size is what it was")]
)
def test_what_did_not_grow_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Any, reason: str
) -> None:
    monkeypatch.setattr(growing, "run", run)
    with pytest.raises(NotGrown) as caught:
        growing.grow(mounted(tmp_path / "image"))
    assert reason in str(caught.value)
