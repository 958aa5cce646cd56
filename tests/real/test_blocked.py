# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps root from replacing a file, or a filesystem in use without a process, is found beforehand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.agnes.host.plugins.module_utils.system.disks import kernel_users
from ansible_collections.agnes.host.plugins.module_utils.system.disks.devices import maj_min_of
from ansible_collections.agnes.host.plugins.module_utils.system.disks.holders import holders
from ansible_collections.agnes.host.plugins.module_utils.system.host import durable
from ansible_collections.agnes.host.plugins.module_utils.system.host.replaceable import (
    directory_fixed,
    fixed,
)
from ansible_collections.agnes.host.plugins.module_utils.system.move.moving import Held

from .conftest import Filesystem

KEPT = "kept from changes by 'chattr +i' or '+a' on '{}'"


def run(*argv: object) -> None:
    subprocess.run([str(word) for word in argv], check=True)


@pytest.fixture
def disk(filesystem: Filesystem) -> Iterator[Path]:
    """A filesystem with a file, whose flags and mounts are gone at the end."""
    made = filesystem("ext4", "disk", 32)
    (made / "file").write_text("text")
    yield made
    subprocess.run(["umount", str(made / "file")], capture_output=True, check=False)
    run("mount", "-o", "remount,rw", made)
    run("chattr", "-ia", made, made / "file")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (("chattr", "+i", "{file}"), KEPT.format("{file}")),
        (("chattr", "+a", "{file}"), KEPT.format("{file}")),
        (("chattr", "+i", "{disk}"), KEPT.format("{disk}")),
        (("mount", "--bind", "{file}", "{file}"), "a mount point of its own"),
        (("mount", "-o", "remount,ro", "{disk}"), "on a filesystem that is mounted read-only"),
    ],
)
def test_why_a_file_can_not_be_replaced(disk: Path, how: tuple[str, ...], reason: str) -> None:
    names = {"file": f"{disk}/file", "disk": str(disk)}
    assert fixed(names["file"]) == ""
    run(*(word.format(**names) for word in how))
    assert fixed(names["file"]) == reason.format(**names)
    # The same as what a write meets.
    with pytest.raises(OSError, match=r"(not permitted|Read-only|busy)"):
        durable.write(names["file"], "new")


def test_a_link_is_told_and_what_is_not_there_can_be_made(disk: Path) -> None:
    (disk / "link").symlink_to("/etc/passwd")
    assert fixed(f"{disk}/link") == "a link to '/etc/passwd', which a new file would replace"
    assert fixed(f"{disk}/none") == ""
    assert directory_fixed(str(disk)) == ""


def test_a_loop_device_on_the_disk_is_among_its_holders(disk: Path) -> None:
    image = disk / "image"
    with image.open("wb") as file:
        file.truncate(1 << 20)
    held = Held(maj_min_of(disk.stat().st_dev))
    assert holders(held) == []
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        assert holders(held) == [f"loop device {os.path.basename(device)} of {image}"]
        assert holders(Held(held.maj_min, f"{disk}/state", "/state")) == []
    finally:
        run("losetup", "--detach", device)


def test_a_swap_file_and_an_export_are_among_its_holders(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disk / "my swap").touch()
    swaps, exports = tmp_path / "swaps", tmp_path / "exports"
    swaps.write_text(
        f"Filename Type Size Used Priority\n{disk}/my\\040swap file 9 0 -2\n/dev/none partition 9 0 -3\n"
    )
    exports.write_text(f"# Version 1.1\n{disk}/state\t*(ro)\n/srv\t*(ro)\n")
    monkeypatch.setattr(kernel_users, "SWAPS", str(swaps))
    monkeypatch.setattr(kernel_users, "EXPORTS", (str(exports),))
    assert kernel_users.kernel_users(maj_min_of(disk.stat().st_dev)) == [
        f"a swap file of {disk}/my swap",
        f"an NFS export of {disk}/state",
    ]
